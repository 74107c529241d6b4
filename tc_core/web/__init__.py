"""The explorer: what was recorded, in the browser."""
