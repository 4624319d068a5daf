"""Who writes which log: the native generator, Suricata, and the real tools where installed."""
