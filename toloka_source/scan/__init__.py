"""The requests that make one window complete, many pages at once."""
