"""What keeps a store in order: retention, archive, imports, checks, repairs, sizes."""
