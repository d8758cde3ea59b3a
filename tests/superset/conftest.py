"""The two engines' tests run side by side: each engine has a Superset and a browser of its own."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each engine's tests in one process."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group("postgres" if "postgres" in item.name else "duckdb"))
