"""p0f signatures: raw_sig of a SYN or SYN+ACK, the database reader, the matcher."""
