"""What events have that questions for sums ask for, kept in memory as columns of numbers."""
