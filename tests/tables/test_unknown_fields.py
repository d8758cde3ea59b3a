"""Fields that the API documents nowhere: each is kept, however many there are."""

import json
from typing import Any

import pytest

from tests.bi.views_place import Place
from tests.conftest import expected_rows
from toloka_source import ENDPOINTS
from toloka_source.emulator import Clock, Emulator
from toloka_source.tables.unknown_fields import MORE_FIELDS, MOST_COLUMNS

pytest_plugins = ["tests.postgres"]


def kept(place: Place) -> dict[str, dict[str, Any]]:
    """Return the fields of each project that are in columns of no documented field, and those in the last one."""
    known = ENDPOINTS["projects"].schema.names
    found = {}
    for row in place.ask("SELECT * FROM toloka_data.projects"):
        fields = {
            name: value if place.is_postgres else json.loads(value)
            for name, value in row.items()
            if name not in known and not name.startswith("_dlt") and name != "_toloka_hash" and value is not None
        }
        more = fields.pop(MORE_FIELDS, {})
        assert not fields.keys() & more.keys()
        found[row["id"]] = fields | more
    return found


def columns(place: Place) -> int:
    """Return how many columns the table has of such fields."""
    (row, *_) = place.ask("SELECT * FROM toloka_data.projects")
    return len(row) - len(ENDPOINTS["projects"].schema) - 2  # the hash, and dlt's


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
@pytest.mark.slow
def test_thousands_of_fields(api: Emulator, clock: Clock, engine: str, request: pytest.FixtureRequest) -> None:
    place = Place(api, request.getfixturevalue("postgres_database") if engine == "postgres" else None)
    create = api.account.create_project
    create()
    create(**{f"first_{number}": number for number in range(150)})
    place.load()
    assert columns(place) == 150

    clock.advance(hours=1)
    create(
        **{f"a_second_{number}": [number] for number in range(1_700)}, first_7="again", owner={"id": "1", "zz": True}
    )
    create(**{MORE_FIELDS: "mine"}, created="soon", never=1)
    create(first_8=8)
    place.load()
    assert columns(place) == MOST_COLUMNS + 1

    place.pipeline.drop()  # what it knows of the table is at the destination
    place = Place(api, place.url)
    clock.advance(hours=1)
    create(**{f"third_{number}": None if number % 2 else number for number in range(1_700)}, first_9=9)
    place.load()
    assert columns(place) == MOST_COLUMNS + 1

    found = kept(place)
    assert found["1"] == {}
    assert found["2"] == {f"first_{number}": number for number in range(150)}
    owner = found["3"].pop("owner")
    assert owner == {"zz": True}
    assert found["3"] == {f"a_second_{number}": [number] for number in range(1_700)} | {"first_7": "again"}
    assert found["5"] == {"first_8": 8}
    assert found["6"] == {f"third_{number}": None if number % 2 else number for number in range(1_700)} | {"first_9": 9}
    (row,) = place.ask("SELECT * FROM toloka_data.projects WHERE id = '3'")
    (wanted,) = expected_rows(
        [item for item in api.account.projects if item["id"] == "3"], ENDPOINTS["projects"].schema
    )
    assert {name: row[name] for name in ("owner__id", "created", "public_name")} == {
        name: wanted[name] for name in ("owner__id", "created", "public_name")
    }


def test_a_field_with_the_name_of_the_last_column(api: Emulator) -> None:
    place = Place(api, None)
    api.account.create_project(**{MORE_FIELDS: "mine"})
    api.account.create_project(**{f"z_{number}": number for number in range(300)})
    place.load()
    rows = place.ask("SELECT * FROM toloka_data.projects ORDER BY id")
    assert rows[0][MORE_FIELDS] is None
    assert '"mine"' in rows[0].values()
    assert len(json.loads(rows[1][MORE_FIELDS])) == 300 - MOST_COLUMNS + 1
