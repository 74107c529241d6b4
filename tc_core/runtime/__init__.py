"""Wires the rooms together: settings to stores, stores to recorders, recorders to frameworks."""
