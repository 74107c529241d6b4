"""The tables: what the migrations create and the queries read."""
