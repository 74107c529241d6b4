"""How events get in: the hot path, which never raises into the host and never waits for the store."""
