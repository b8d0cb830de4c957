"""Building and examining persona data."""
