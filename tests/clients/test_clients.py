"""The libraries that BI tools and notebooks read with: each sees the views, in DuckDB's file and in PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import adbc_driver_duckdb
import adbc_driver_manager.dbapi
import adbc_driver_postgresql.dbapi
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.bi.views_place import Place
from tests.conftest import NOON
from tests.postgres import postgres, postgres_database
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.emulator import Account, Clock, Emulator

__all__ = ["postgres", "postgres_database"]  # fixtures

# dlt and DuckDB use what DuckDB and pandas advise against
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword", "ignore:fetch_arrow_table")

QUERY = "SELECT project_id, status, created_at FROM toloka_bi.projects ORDER BY created_at, project_id"


@pytest.fixture(params=["duckdb", "postgres"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Load a lifelike account into either engine."""
    url = request.getfixturevalue("postgres_database") if request.param == "postgres" else None
    with Emulator(Account.lifelike(projects=30, clock=Clock(NOON))) as api:
        place = Place(api, url)
        place.load()
        yield place


def engine_of(place: Place) -> sa.Engine:
    """Return SQLAlchemy's engine, which keeps no connection."""
    if place.url:
        url = urlsplit(place.url)._replace(scheme="postgresql+psycopg2").geturl()
        return sa.create_engine(url, poolclass=sa.NullPool)
    return sa.create_engine("duckdb:///toloka.duckdb", connect_args={"read_only": True}, poolclass=sa.NullPool)


def adbc(url: str | None) -> Any:
    """Return an ADBC connection."""
    if url:
        return adbc_driver_postgresql.dbapi.connect(url)
    return adbc_driver_manager.dbapi.connect(
        driver=adbc_driver_duckdb.driver_path(),
        entrypoint="duckdb_adbc_init",
        db_kwargs={"path": "toloka.duckdb", "access_mode": "read_only"},
    )


def expected(place: Place) -> list[Any]:
    """Return what the query has to say."""
    return [(row["project_id"], row["status"], row["created_at"]) for row in place.ask(QUERY)]


def test_sqlalchemy_knows_the_views_and_their_columns(place: Place) -> None:
    rows_of_query = expected(place)
    engine = engine_of(place)
    inspector = sa.inspect(engine)
    assert sorted(inspector.get_view_names("toloka_bi")) == sorted(VIEWS)
    for name, schema in VIEWS.items():
        columns = inspector.get_columns(name, schema="toloka_bi")
        assert [column["name"] for column in columns] == schema.names
        assert all(column["comment"] for column in columns)
        table = sa.Table(
            name, sa.MetaData(), *(sa.Column(column["name"], column["type"]) for column in columns), schema="toloka_bi"
        )
        with engine.connect() as connection:
            rows = connection.execute(sa.select(table)).fetchall()
            assert len(rows) == connection.scalar(sa.select(sa.func.count()).select_from(table))
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(sa.text(QUERY))] == rows_of_query


def test_pandas_by_sqlalchemy(place: Place) -> None:
    with engine_of(place).connect() as connection:
        frame = pd.read_sql(sa.text(QUERY), connection)
    assert [*frame.itertuples(index=False, name=None)] == expected(place)
    assert isinstance(frame["created_at"].dtype, pd.DatetimeTZDtype)


def test_adbc_and_polars_by_it(place: Place) -> None:
    with closing(adbc(place.url)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(QUERY)
            table = cursor.fetch_arrow_table()
        frame = pl.read_database(QUERY, connection)
    assert [tuple(row.values()) for row in table.to_pylist()] == expected(place)
    assert frame.rows() == expected(place)


@pytest.mark.parametrize("place", ["duckdb"], indirect=True)
def test_duckdb_itself(place: Place) -> None:
    rows = expected(place)
    with duckdb.connect("toloka.duckdb", read_only=True) as connection:
        assert connection.sql(QUERY).pl().rows() == rows
        assert [*connection.sql(QUERY).df().itertuples(index=False, name=None)] == rows


@pytest.mark.parametrize("place", ["duckdb"], indirect=True)
def test_a_connection_of_its_own_database_sees_what_is_new_beside_one_that_is_kept(place: Place) -> None:
    kept, later = duckdb.connect(), duckdb.connect()
    with kept, later:
        kept.execute("ATTACH 'toloka.duckdb' AS toloka (READ_ONLY); USE toloka")
        before = kept.sql(QUERY).fetchall()
        place.api.account.create_project()
        place.load()
        later.execute("ATTACH 'toloka.duckdb' AS toloka (READ_ONLY); USE toloka")
        assert kept.sql(QUERY).fetchall() == before
        after = later.sql(QUERY).fetchall()
    assert after == expected(place)
    assert len(after) == len(before) + 1


def test_adbc_can_be_kept_from_writing_to_duckdb() -> None:
    duckdb.connect("toloka.duckdb").close()
    with (
        closing(adbc(None)) as connection,
        connection.cursor() as cursor,
        pytest.raises(adbc_driver_manager.ProgrammingError, match="read-only"),
    ):
        cursor.execute("CREATE TABLE mine (id int)")


@pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")  # DuckDB 2 says it of dlt 1.31
def test_the_pipeline_gives_tables_and_views_to_pandas_and_polars(place: Place) -> None:
    projects = place.pipeline.dataset().projects
    ids = sorted(project["id"] for project in place.api.account.projects)
    assert sorted(projects.df()["id"]) == ids
    assert sorted(pl.from_arrow(pa.concat_tables(projects.iter_arrow(50)))["id"]) == ids
    rows = expected(place)
    with place.pipeline.sql_client() as client:
        client.execute_sql("SET timezone TO 'UTC'")  # polars knows no zone like +05:45
        with client.execute_query(QUERY) as cursor:
            frame = cursor.df()
            assert frame is not None
            assert [*frame.itertuples(index=False, name=None)] == rows
        with client.execute_query(QUERY) as cursor:
            assert pl.from_arrow(pa.concat_tables(cursor.iter_arrow(50))).rows() == rows
