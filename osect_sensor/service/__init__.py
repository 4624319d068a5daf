"""The always-on sensor: capture, minute cycle, queue, upload, retention."""
