"""What calls cost: the tracker, reports, time zones."""
