"""Events in files: JSON lines, CSV and Parquet, out and in."""
