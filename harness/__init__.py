"""What judges a sensor: its logs against the contract, and against what other tools wrote."""
