"""``python -m osect_harness``."""

from osect_harness.cli import main

main()
