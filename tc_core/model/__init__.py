"""Frozen values and Protocols: what is recorded, without I/O, SQL or a framework."""
