"""The ways in which an alert is told: one file for each."""
