"""The contract: what each log is called, its framing and fields, and how rows become text."""
