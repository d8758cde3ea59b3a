"""The API over HTTP: how it is reached, what an answer means, one retry policy."""
