"""Where events are kept; the only place that knows SQL."""
