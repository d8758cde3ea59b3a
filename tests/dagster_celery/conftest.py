"""A PostgreSQL for these tests."""

pytest_plugins = ["tests.postgres"]
