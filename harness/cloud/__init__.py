"""The mock cloud: receives archives over mutual TLS, judges them, and misbehaves on command."""

from osect_harness.cloud.certificates import Certificates
from osect_harness.cloud.faults import Fault, parse_fault
from osect_harness.cloud.server import MockCloud

__all__ = ["Certificates", "Fault", "MockCloud", "parse_fault"]
