"""What must never happen: the token written anywhere, or the data taken for a command, a name or a path."""

import contextlib
import gzip
import json
import logging
import pickle
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import dlt
import duckdb
import msgspec
import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.normalizers.naming.snake_case import NamingConvention as SnakeCase
from dlt.common.runtime.collector import LogCollector
from dlt.common.runtime.run_context import RunContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.amounts import amount, each_once
from tests.conftest import Warehouse, expected_rows
from toloka_source import ENDPOINTS, TolokaError, load, toloka
from toloka_source.catalog import DEFAULT_ENDPOINTS, schemas
from toloka_source.emulator import Clock, Emulator, Fault
from toloka_source.tables.arrow import to_table
from toloka_source.tables.unknown_fields import MORE_FIELDS

TOKEN = "AQAD-5ecret_T0ken.of/the+account"  # noqa: S105 - of nobody's
KEEPER = "secrets.toml"


@pytest.fixture(autouse=True)
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Have every logger say everything, those included that have a level of their own."""
    dlt_logger = logging.getLogger("dlt")  # made by the first pipeline, which may be this test's
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    dlt_logger.addHandler(caplog.handler)
    with caplog.at_level(logging.DEBUG):
        yield
    dlt_logger.removeHandler(caplog.handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def secret(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> Iterator[None]:
    """Put the token where users do."""
    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "2")
    if request.param == "environment":
        monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", TOKEN)
    else:
        (own_folder / ".dlt").mkdir()
        (own_folder / ".dlt" / KEEPER).write_text(f'[sources.toloka]\ntoken = "{TOKEN}"\n')
    with Container().injectable_context(PluggableRunContext(RunContext(str(own_folder)))):
        yield


def shown(thing: object) -> str:
    """Return all that can be seen of an object: its text, and what pickles of it."""
    texts = [repr(thing), str(thing)]
    with contextlib.suppress(Exception):  # what doesn't pickle shows nothing
        texts.append(pickle.dumps(thing).decode("latin-1"))
    if isinstance(thing, BaseException):
        texts += traceback.TracebackException.from_exception(thing, capture_locals=True).format()
    return "\n".join(texts)


def see_a_run(api: Emulator) -> str:
    """Run a pipeline; return all that can be seen of its objects, and of how it ended."""
    progress = StringIO()
    collector = LogCollector(log_period=0, logger=progress, dump_system_stats=False)
    pipeline = dlt.pipeline("toloka", destination="duckdb", dataset_name="toloka_data", progress=collector)
    source = toloka(base_url=api.base_url)
    things: list[object] = [source, *source.resources.values(), pipeline]
    try:
        things.append(load(pipeline, source))
    except TolokaError as error:
        things.append(error)
    if trace := pipeline.last_trace:
        things += [trace, trace.asdict(), trace.asstr(verbosity=2)]
    things += [pipeline.state, progress.getvalue()]
    return "\n".join(map(shown, things))


def ways_to_write(token: str) -> set[bytes]:
    """Return the token as it would be seen in text, in other encodings, and a piece of it."""
    return {token.encode(), token.encode("utf-16-le"), b64encode(token.encode()), token[5:20].encode()}


def around(text: str, written: bytes) -> str:
    """Return where in a text something is."""
    at = text.encode("utf-8", "surrogateescape").index(written)
    return text[max(0, at - 300) : at + 100]


def break_rows(api: Emulator) -> None:
    """Have objects that don't fit."""
    api.account.create_project(created="soon")
    api.account.create_training("1", owner=7)


def break_table(_api: Emulator) -> None:
    """Have a table that takes no rows."""
    with duckdb.connect("toloka.duckdb") as connection:
        connection.execute("USE toloka_data; ALTER TABLE projects RENAME TO kept; CREATE VIEW projects AS FROM kept")


CASES: dict[str, Callable[[Emulator], None]] = {
    "good": lambda _api: None,
    "401": lambda api: api.fail(Fault.status(401)),
    "401, quoting": lambda api: api.fail(Fault.status(401, message=f"who is {TOKEN}?", payload={"token": TOKEN})),
    "proxy, quoting": lambda api: api.fail(Fault.body(f"<html><title>{TOKEN}".encode(), "text/html", 502), times=None),
    "page, quoting": lambda api: api.fail(Fault.body(json.dumps({"items": TOKEN}).encode())),
    "reset": lambda api: api.fail(Fault.reset(), times=None),
    "reset once": lambda api: api.fail(Fault.reset()),
    "redirect": lambda api: api.fail(Fault.redirect("http://127.0.0.1:9/elsewhere")),
    "bad rows": break_rows,
    "destination": break_table,
}


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize(("case", "secret"), each_once(CASES, ["environment", "file"]), indirect=["secret"])
@pytest.mark.slow
def test_the_token_is_written_nowhere(
    api: Emulator,
    clock: Clock,
    own_folder: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    case: str,
) -> None:
    said = []
    for prepare in (lambda _api: None, CASES[case]):
        clock.advance(hours=1)
        api.account.create_training(api.account.create_project()["id"])
        prepare(api)
        said.append(see_a_run(api))
    assert {request.headers["authorization"] for request in api.requests} == {f"OAuth {TOKEN}"}

    said += [caplog.text, *(f"{record.__dict__}" for record in caplog.records), *capfd.readouterr()]
    assert any(record.name.startswith("urllib3") for record in caplog.records)
    assert any(record.name == "dlt" and record.levelname == "INFO" for record in caplog.records)
    hidden = ways_to_write(TOKEN)
    for text in said:
        for written in hidden:
            assert written not in text.encode("utf-8", "surrogateescape"), around(text, written)
    paths = [path for path in own_folder.rglob("*") if path.is_file() and path.name != KEEPER]
    assert {"toloka.duckdb", "state.json"} <= {path.name for path in paths}
    for path in paths:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert not [written for written in hidden if written in content], path


# what an object can bear

HOSTILE = [
    "_dlt_id",
    "_dlt_load_id",
    "_dlt_list_idx",
    "_dlt_version",
    "owner__id",
    "owner__",
    "Id",
    "ID ",
    "created__v_json",
    '"; DROP TABLE projects; --',
    "'; DROP SCHEMA toloka_data CASCADE; --",
    "') ; ATTACH 'x.db'; --",
    "../../x",
    "/etc/passwd",
    "C:\\x",
    "a" * 5_000,
    "n" * 300 + "1",
    "n" * 300 + "2",
    "😀",
    "😀😀",
    "漢字",
    "",
    " ",
    "\x01",
    "\n\t\x1b[31m",
    "%s %d {0} {name}",
    "SELECT",
    "__proto__",
    "\u202e",
]


def known(name: str) -> set[str]:
    """Return the fields of a resource's objects that have columns of their own."""
    return {column.partition("__")[0] for column in ENDPOINTS[name].schema.names}


def test_names_and_values_do_nothing(warehouse: Warehouse, own_folder: Path) -> None:
    warehouse.views = True
    outside = {path: sorted(path.iterdir()) for path in (own_folder.parent, own_folder.parent.parent)}
    account = warehouse.api.account
    account.create_project()
    odd = account.create_project(**{name: f"{number}: {name}" for number, name in enumerate(HOSTILE)})
    values = {"public_name": HOSTILE[9], "public_description": HOSTILE[10], "private_comment": HOSTILE[11]}
    account.create_project(**values, owner={"id": HOSTILE[10], "myself": True}, metadata={HOSTILE[9]: HOSTILE[10]})
    account.create_training("1", private_name=HOSTILE[9], metadata={name: [name] for name in HOSTILE})
    account.create_training("1", created=HOSTILE[10])
    report = warehouse.load()
    assert [(resource.rows, resource.rejected) for resource in report.resources] == [(3, 0), (1, 1)]

    rows = warehouse.rows("projects")
    columns = ENDPOINTS["projects"].schema.names
    expected = expected_rows(account.projects, ENDPOINTS["projects"].schema)
    assert [{name: row[name] for name in columns} for row in rows] == expected
    (row,) = (row for row in rows if row["id"] == odd["id"])
    more = sorted(json.loads(value) for name, value in row.items() if name not in columns and value is not None)
    assert more == sorted(f"{number}: {name}" for number, name in enumerate(HOSTILE))
    assert warehouse.rows("trainings") == expected_rows(account.trainings[:1], ENDPOINTS["trainings"].schema)
    with duckdb.connect("toloka.duckdb", read_only=True) as connection:
        tables = connection.execute("SELECT table_schema, table_name FROM information_schema.tables").fetchall()
        assert connection.execute("SELECT reason FROM toloka_data.rejected_items").fetchall()
    more_tables = {"_dlt_loads", "_dlt_pipeline_state", "_dlt_version", "_toloka_loads"}
    assert {table for schema, table in tables if schema == "toloka_data"} == {
        *DEFAULT_ENDPOINTS,
        "rejected_items",
    } | more_tables
    assert {path: sorted(path.iterdir()) for path in outside} == outside
    assert {path.name for path in own_folder.iterdir()} <= {"dlt", "toloka.duckdb", "toloka.duckdb.wal"}


# NUL, which many databases don't take, is replaced when a page is read
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=5,
)
names = (texts | st.sampled_from(HOSTILE)).filter(lambda name: name not in known("projects"))
unknown = st.dictionaries(names, values, max_size=6)


def as_json(values: Iterable[Any]) -> list[str]:
    """Return values in an order that any have."""
    return sorted(json.dumps(value, sort_keys=True) for value in values)


@given(objects=st.lists(unknown, min_size=1, max_size=4))
def test_any_field_survives_in_a_table(objects: list[dict[str, Any]]) -> None:
    schema = ENDPOINTS["projects"].schema
    encoded = [json.dumps({"id": f"{number}", **fields}) for number, fields in enumerate(objects)]
    items = [msgspec.json.decode(text, type=dict[str, msgspec.Raw]) for text in encoded]
    table, rejected = to_table(items, schema, SnakeCase().normalize_path)
    assert rejected == []
    assert table.schema.names[: len(schema)] == schema.names
    assert len(set(table.schema.names)) == len(table.schema) == len(schema) + 1 + len(set().union(*objects))
    table = table.drop_columns([schemas.HASH.name])
    for fields, row in zip(objects, table.to_pylist(), strict=True):
        found = [json.loads(row[name]) for name in table.schema.names[len(schema) :] if row[name] is not None]
        assert as_json(found) == as_json(value for value in fields.values() if value is not None)


@given(fields=unknown)
@settings(max_examples=amount(3, 6, 50), suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.slow
def test_any_field_survives_a_load(warehouse: Warehouse, clock: Clock, fields: dict[str, Any]) -> None:
    clock.advance(hours=1)
    made = warehouse.api.account.create_project(**fields)
    warehouse.load(rescan_after_hours=None)
    rows = {row["id"]: row for row in warehouse.rows("projects")}
    assert list(rows) == warehouse.api.account.ids("projects")
    columns = ENDPOINTS["projects"].schema.names
    values = {name: json.loads(value) for name, value in rows[made["id"]].items() if name not in columns and value}
    more = values.pop(MORE_FIELDS, {})  # where many examples have made many columns
    found = [value for value in (*values.values(), *more.values()) if value is not None]
    assert as_json(found) == as_json(value for value in fields.values() if value is not None)
