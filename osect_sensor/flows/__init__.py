"""Packets to connections: the table, TCP tracking, stream reassembly, timers."""
