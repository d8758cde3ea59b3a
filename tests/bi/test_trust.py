"""What others have made in the same PostgreSQL is neither taken for ours nor run."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from tests.bi.views_place import Place
from tests.conftest import fill
from toloka_source import load
from toloka_source._dlt import POSTGRES
from toloka_source.bi import engines, view_sql, views
from toloka_source.bi.html_report import write_report
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.emulator import Emulator
from toloka_source.errors import DestinationError

pytest_plugins = ["tests.postgres"]


@pytest.fixture
def roles(postgres_database: str) -> Iterator[tuple[str, str]]:
    """Return the URLs of a role that loads, and of a stranger; both may make schemas, and `public` is open."""
    parts = urlsplit(postgres_database)
    database = parts.path[1:]
    names = [f"{name}_{database}" for name in ("loader", "stranger")]
    with closing(psycopg2.connect(postgres_database)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        for name in names:
            cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'word'; GRANT CREATE ON DATABASE {database} TO {name}")
        loader, stranger = (
            parts._replace(netloc=f"{name}:word@{parts.hostname}:{parts.port}").geturl() for name in names
        )
        yield loader, stranger
        for name in names:
            cursor.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


TRAP = """
    CREATE TABLE public.ran (who text);
    GRANT INSERT ON public.ran TO PUBLIC;
    CREATE FUNCTION public.trap() RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.ran VALUES (current_user); RETURN true; END
    $$
"""
"""What a stranger would like others to run."""


def copied_views(dataset: str = "toloka_bi") -> list[str]:
    """Return the stranger's views: our columns, our comments, and a function of their own."""
    made = [f"CREATE SCHEMA {dataset}", f"GRANT ALL ON SCHEMA {dataset} TO PUBLIC"]
    for view in view_sql.views(engines.ENGINES[POSTGRES], "toloka_data", {}, dataset):
        create = view.create.replace(" AS WITH ", " AS SELECT * FROM (WITH ", 1)
        made += [f"{create}) AS original WHERE public.trap()", *view.comments]
        made.append(f"GRANT SELECT ON {dataset}.{view.name} TO PUBLIC")
    return made


def who_ran(place: Place) -> set[str]:
    """Return whose rights the stranger's function had."""
    return {row["who"] for row in place.ask("SELECT who FROM public.ran")}


@pytest.mark.parametrize("is_superuser", [False, True])
def test_views_of_a_stranger_are_left_alone(
    api: Emulator,
    postgres_database: str,
    roles: tuple[str, str],
    own_folder: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    is_superuser: bool,
) -> None:
    fill(api.account)
    stranger = Place(api, roles[1])
    stranger.ask(TRAP, *copied_views(), *copied_views("elsewhere"))
    place = Place(api, postgres_database if is_superuser else roles[0])
    report = place.load()
    (said,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    name = urlsplit(roles[1]).username
    assert said.startswith(f"the views in toloka_bi stay as they are: toloka_bi belongs to {name}")
    with pytest.raises(DestinationError, match=f"without a report: toloka_bi belongs to {name}"):
        write_report("report.html", place.pipeline, [report])
    assert not (own_folder / "report.html").exists()
    # nor are they emptied, which they would refuse
    load(place.pipeline, place.source(), refresh="drop_sources", views=False)
    assert who_ran(stranger) == set()
    assert len(stranger.ask("SELECT 1 FROM pg_views WHERE schemaname = 'toloka_bi'")) == len(VIEWS)


@pytest.mark.parametrize("made", ["VIEW {0} AS SELECT public.trap()", "TABLE {0} (id text)"])
def test_a_view_of_a_stranger_in_our_schema(api: Emulator, roles: tuple[str, str], made: str) -> None:
    fill(api.account)
    place, stranger = Place(api, roles[0]), Place(api, roles[1])
    report = place.load()
    stranger.ask(TRAP)
    place.ask("GRANT ALL ON SCHEMA toloka_bi TO PUBLIC", "DROP VIEW toloka_bi.projects")
    stranger.ask(f"CREATE {made.format('toloka_bi.projects')}", "GRANT ALL ON toloka_bi.projects TO PUBLIC")
    stranger.ask("CREATE VIEW toloka_bi.theirs AS SELECT 1")
    with pytest.raises(DestinationError, match=r"toloka_bi\.projects belongs to stranger_"):
        write_report("report.html", place.pipeline, [report])
    stranger.ask(f"DROP {made.partition(' ')[0]} toloka_bi.projects")
    place.load()
    assert write_report("report.html", place.pipeline, [report])


@pytest.mark.slow
def test_views_of_a_role_that_the_loader_is_a_member_of(
    api: Emulator, postgres_place: Place, roles: tuple[str, str]
) -> None:
    fill(api.account)
    loader, team = (urlsplit(url).username for url in roles)
    postgres_place.ask(f"GRANT {team} TO {loader}")
    place = Place(api, roles[0])
    place.load()
    place.ask(
        f"GRANT USAGE ON SCHEMA toloka_data TO {team}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA toloka_data TO {team}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA toloka_data GRANT SELECT ON TABLES TO {team}",
    )
    for name in ("SCHEMA toloka_bi", *(f"VIEW toloka_bi.{view}" for view in VIEWS)):
        place.ask(f"ALTER {name} OWNER TO {team}")
    report = load(place.pipeline, place.source(), refresh="drop_sources", views=True)
    assert write_report("report.html", place.pipeline, [report])


@pytest.fixture
def postgres_place(api: Emulator, postgres_database: str) -> Place:
    """Return a pipeline into PostgreSQL, of its superuser."""
    return Place(api, postgres_database)


BETTER_FITTING = """
    CREATE TYPE public.text AS ENUM ('OPEN');
    CREATE FUNCTION public.jsonb_path_exists(jsonb, pg_catalog.text, pg_catalog.text, boolean) RETURNS boolean
        LANGUAGE sql AS 'SELECT public.trap()';
    CREATE FUNCTION public.jsonb_path_query(jsonb, pg_catalog.text, pg_catalog.text, boolean) RETURNS SETOF jsonb
        LANGUAGE sql AS 'SELECT to_jsonb(public.trap())';
    CREATE FUNCTION public.over(numeric, integer) RETURNS numeric
        LANGUAGE sql AS 'SELECT CASE WHEN public.trap() THEN 1.0 END';
    CREATE OPERATOR public./ (leftarg = numeric, rightarg = integer, function = public.over);
    CREATE FUNCTION public.same(varchar, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap()';
    CREATE OPERATOR public.= (leftarg = varchar, rightarg = varchar, function = public.same);
    CREATE FUNCTION public.least(integer, integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION public.obj_description(oid, pg_catalog.text) RETURNS pg_catalog.text
        LANGUAGE sql AS 'SELECT public.trap()::pg_catalog.text';
    CREATE FUNCTION public.date_trunc(pg_catalog.text, timestamp) RETURNS timestamp
        LANGUAGE sql AS 'SELECT CASE WHEN public.trap() THEN now() END';
    CREATE FUNCTION public.left(varchar, integer) RETURNS pg_catalog.text
        LANGUAGE sql AS 'SELECT public.trap()::pg_catalog.text'
"""
"""Functions and operators that fit what the views and the page ask for better than PostgreSQL's own."""


@pytest.mark.slow
def test_functions_and_operators_of_strangers(
    api: Emulator, roles: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(api.account)
    place, stranger = Place(api, roles[0]), Place(api, roles[1])
    report = load(place.pipeline, place.source())
    stranger.ask(TRAP, BETTER_FITTING)
    engine = engines.ENGINES[POSTGRES]
    with monkeypatch.context() as patch:
        patch.setitem(engines.ENGINES, POSTGRES, replace(engine, search_path=""))
        views.publish(place.pipeline, report.resources, 0.0)
        for view in VIEWS:
            place.view(view)
    assert who_ran(stranger) == {urlsplit(roles[0]).username}  # as older versions made them

    stranger.ask("DELETE FROM public.ran")
    views.publish(place.pipeline, report.resources, 0.0)  # dlt's own statements are dlt's
    for view in VIEWS:
        place.view(view)
    write_report("report.html", place.pipeline, [report])
    assert who_ran(stranger) == set()
    assert len(place.view("projects")) == 60
