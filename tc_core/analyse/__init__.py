"""What the records mean: pure functions over the ports."""
