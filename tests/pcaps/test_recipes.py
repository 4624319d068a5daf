"""Recipes build the stored captures, octet for octet, whatever the hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("scapy", reason="scapy builds the reference captures")

SCRIPT = """
import sys
from pcaps import build
print(build.main(["--check"]), build.main(["--check", "no_such_capture"]))
"""


def test_recipes_build_what_is_stored_and_an_unknown_name_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "0 64\n", done.stdout + done.stderr
    assert "no_such_capture" in done.stderr
