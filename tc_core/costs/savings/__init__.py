"""Ways to save, one file for each: every one looks at recorded calls and says what it would have saved."""
