"""How batches become rows, all or nothing."""
