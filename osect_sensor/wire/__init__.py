"""Bytes to packets: capture files, link layers, IP, fragments, tunnels; no I/O of its own."""
