"""Whose the views are, and what their names can mean: a database has others who may make things in it too."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dlt.destinations.sql_client import SqlClientBase

from toloka_source.bi.engines import Engine
from toloka_source.bi.view_sql import all_names
from toloka_source.errors import DestinationError


@contextmanager
def own_names_only(client: SqlClientBase[Any], engine: Engine) -> Iterator[None]:
    """Begin a transaction in which no function or operator of others stands in for one of the database's own."""
    with client.begin_transaction():
        if engine.search_path:
            client.execute_sql(engine.search_path)
        yield


def check_owners(client: SqlClientBase[Any], engine: Engine, views_in: str) -> None:
    """Check that nobody else made the views or their dataset: to read such a view is to run what they wrote.

    Raises:
        DestinationError: Somebody did; says who.
    """
    if not engine.strangers:
        return
    for name, owner in client.execute_sql(engine.strangers.format(names=all_names()), views_in) or ():
        remedy = "give it to this role (ALTER ... OWNER TO), drop it, or name another dataset with views="
        raise DestinationError(f"{name} belongs to {owner}, whom this role isn't a member of: {remedy}")
