"""``python -m osect_sensor``."""

from osect_sensor.cli import main

main()
