"""How events hang together: the tree of a run, and finding one."""
