"""What is odd about costs: series are read, scored bucket by bucket, and what stands out explained."""
