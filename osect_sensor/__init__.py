"""OT network sensor: every minute of packets becomes fifteen logs."""

__version__ = "0.1.0"
