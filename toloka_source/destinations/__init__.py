"""What is loaded into: the place, and what its failures mean."""
