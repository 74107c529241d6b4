"""What is to come: forecasts with an interval that is tested, and what-if scenarios of recorded calls."""
