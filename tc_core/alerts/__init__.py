"""Alerts: rules that fire once, and notifications that arrive at least once."""
