"""One module a subject; each has ``build() -> list[Capture]``."""
