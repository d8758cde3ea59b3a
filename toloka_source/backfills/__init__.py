"""A range of time in windows, each loaded on its own, many at once."""
