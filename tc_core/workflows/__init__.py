"""A branch: workflows of several agents, what each of their runs cost and where its time went."""
