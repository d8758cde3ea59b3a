"""JSON that PostgreSQL doesn't take: such objects are kept among the rejected, and stop nothing."""

import json
from contextlib import closing

import msgspec
import psycopg2
import pytest

from tests.bi.views_place import Place
from tests.conftest import Warehouse
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.emulator import Emulator, Fault
from toloka_source.tables import jsonb

pytest_plugins = ["tests.postgres"]

REFUSED = {
    "exponent": b"1e999999",
    "fraction": b"-1.5E-20000",
    "nothing": b"0e-20000",
    "digits": b"1" * 200_000,
    "decimals": b"0." + b"1" * 20_000,
    "deep": b'[{"text": "1e999999 and \\"1e999999", "n": [1, 1e999999]}]',
    "large": b"[" + b"1," * 17_000_000 + b"1]",
}
TAKEN = {
    "exponent": b"1e999",
    "digits": b"1" * 9_999,
    "decimals": b"-0." + b"1" * 9_999,
    "text": b'{"1e999999": "1e999999", "\\"": "%b", "\\\\": 2}' % (b"7" * 200_000),
    "deep": b"[" * 900 + b"]" * 900,
    "odd": b'"\\u0001\\uffff\\ud83d\\ude80"',
}


@pytest.mark.parametrize("value", [*REFUSED.values(), *TAKEN.values()], ids=[*REFUSED, *(f"taken_{n}" for n in TAKEN)])
@pytest.mark.slow
def test_what_is_taken_is_what_postgresql_takes(postgres: str, value: bytes) -> None:
    is_refused = value in REFUSED.values()
    with closing(psycopg2.connect(postgres)) as connection, connection.cursor() as cursor:
        if is_refused:
            with pytest.raises(msgspec.ValidationError):
                jsonb.check(value)
            with pytest.raises(psycopg2.Error):
                cursor.execute("SELECT %s::jsonb", (value.decode(),))
            connection.rollback()
        else:
            jsonb.check(value)
            assert jsonb.taken(value) == value
        jsonb.check(jsonb.taken(value)[: jsonb.MOST_BYTES])
        cursor.execute("SELECT %s::jsonb IS NULL", (jsonb.taken(value).decode(),))
        assert cursor.fetchone() == (False,)


def test_a_number_becomes_a_text_and_a_text_stays() -> None:
    assert json.loads(jsonb.taken(REFUSED["deep"])) == [{"text": '1e999999 and "1e999999', "n": [1, "1e999999"]}]


def send(api: Emulator, *objects: bytes) -> None:
    """Have the local Toloka send these projects, as they are."""
    items = b", ".join(b'{"id": "%d", %b}' % pair for pair in enumerate(objects, 1))
    api.fail(Fault.body(b'{"items": [%b], "has_more": false}' % items), on="projects")


NUMBERS = (
    b'"public_name": "metadata", "metadata": {"a": 1e999999}',
    b'"public_name": "unknown", "brand_new": %b' % REFUSED["digits"],
    b'"public_name": "nested", "owner": {"id": "1", "new": [1e-20000]}',
    b'"public_name": "both", "metadata": [1e999999], "created": "soon"',
    b'"public_name": "taken", "metadata": {"a": "1e999999", "b": 1e99}',
)
"""Projects with numbers of which PostgreSQL takes one; the fourth has no destination that does."""


def test_objects_with_such_numbers_are_rejected_and_whole(api: Emulator, postgres_database: str) -> None:
    send(api, *NUMBERS)
    place = Place(api, postgres_database)
    report = place.load()
    assert (report.resources[0].rows, report.resources[0].rejected) == (1, 4)
    assert [row["project_name"] for row in place.view("projects")] == ["taken"]
    found = {row["name"]: row for row in place.ask("""
        SELECT item ->> 'public_name' AS name, field, reason, item FROM toloka_data.rejected_items
    """)}  # fmt: skip
    assert {name: row["field"] for name, row in found.items()} == {
        "metadata": "metadata",
        "unknown": "brand_new",
        "nested": "owner",
        "both": "metadata",
    }
    assert found["metadata"]["reason"] == "PostgreSQL's JSON takes no number of so many digits"
    assert found["metadata"]["item"]["metadata"] == {"a": "1e999999"}
    assert found["unknown"]["item"]["brand_new"] == "1" * 200_000
    assert found["both"]["item"]["metadata"] == ["1e999999"]


def test_other_destinations_take_them(warehouse: Warehouse) -> None:
    send(warehouse.api, *NUMBERS)
    report = warehouse.load()
    assert (report.resources[0].rows, report.resources[0].rejected) == (4, 1)
    with warehouse.pipeline.sql_client() as client:
        found = client.execute_sql("SELECT CAST(metadata AS VARCHAR) FROM projects WHERE public_name = 'metadata'")
    assert found == [('{"a": 1e999999}',)]


def test_no_number_makes_a_view_fail(api: Emulator, postgres_database: str) -> None:
    many = b"[" + b",".join([b"1e131071"] * 20_000) + b"]"  # 180 kB, and 2.6 GB in a text
    control = (
        b'"quality_control": {"configs": [{"collector_config": {"type": "A", "parameters": {"p": %b}}, "rules": [{}]}]}'
        % many
    )
    send(api, control)
    place = Place(api, postgres_database)
    assert place.load().resources[0].rejected == 1
    assert [view for view in VIEWS if place.view(view)] == ["loads", "rejected"]
