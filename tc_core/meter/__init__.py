"""What a text weighs and what a call costs: pure functions over bundled tables."""
