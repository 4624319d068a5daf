from __future__ import annotations

import pytest
from detected import ORIG, services_of

from osect_sensor.wire.packet import UDP


@pytest.mark.parametrize("message", [b"<13>Oct 11 host app: hi", b"no priority at all"])
def test_any_message_on_the_port_is_syslog(message: bytes) -> None:
    assert services_of([(ORIG, message)], protocol=UDP, port=514) == ["syslog"]
    assert services_of([(ORIG, message)], protocol=UDP) == []
