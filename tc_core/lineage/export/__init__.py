"""A lineage in the formats of others: pictures to look at, and graphs for machines."""
