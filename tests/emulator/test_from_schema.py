"""A list that nobody wrote a line for in the emulator."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import requests

from toloka_source import catalog
from toloka_source.catalog import Endpoint, schemas
from toloka_source.catalog.endpoint import Cursor
from toloka_source.catalog.filters import Filter, equal, one_of, ranges
from toloka_source.emulator import Account, Clock, Emulator

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
ASSIGNMENTS = Endpoint(
    name="assignments",
    path="very/odd-path",
    nouns=("assignment", "assignments"),
    schema=pa.schema(
        [
            *(schemas.POOLS.field(name) for name in ("id", "project_id", "owner__id", "owner__myself", "status")),
            *(schemas.POOLS.field(name) for name in ("metadata", "priority", "reward_per_assignment", "created")),
            *(schemas.USER_SKILLS.field(name) for name in ("exact_value", "modified")),
        ]
    ),
    ids="object_id",
    cursors=(Cursor("created", is_never_null=True), Cursor("modified"), Cursor("seen", is_column=False)),
    filters={
        **one_of("status", "ACTIVE", "REJECTED"),
        **equal("project_id", "number"),
        "mine": Filter("owner__myself", kind="flag"),
        **ranges({"id": "text", "created": "time", "seen": "time"}),
    },
    sort_keys=("id", "priority", "exact_value", "modified"),
    greatest_limit=20,
    page_size=20,
)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "ENDPOINTS", {**catalog.ENDPOINTS, "assignments": ASSIGNMENTS})


@pytest.fixture
def api() -> Iterator[Emulator]:
    account = Account.lifelike(projects=50, clock=Clock(NOW), others={"assignments": 50})
    with Emulator(account) as running:
        yield running


def found(api: Emulator, **params: object) -> list[dict[str, object]]:
    query = {name: str(value) for name, value in params.items()}
    response = requests.get(
        f"{api.base_url}/{ASSIGNMENTS.path}", query, headers={"Authorization": "OAuth x"}, timeout=9
    )
    assert response.status_code == 200, response.text
    items: list[dict[str, object]] = response.json()["items"]
    return items


def test_its_objects_have_a_value_of_each_columns_type(api: Emulator) -> None:
    table = pa.Table.from_pylist(
        [
            {column: item.get(column) for column in ("id", "project_id", "status", "priority", "exact_value")}
            for item in api.account.objects("assignments")
        ]
    )
    assert [str(column.type) for column in table.schema] == ["string", "string", "string", "int64", "double"]
    assert len(table) == 50
    assert 0 < table["project_id"].null_count < 25
    assert set(table["project_id"].drop_null().to_pylist()) <= set(api.account.ids("projects"))
    assert set(table["status"].drop_null().to_pylist()) == {"ACTIVE", "REJECTED"}
    new = api.account.create("assignments")
    for item in api.account.objects("assignments"):
        created = datetime.fromisoformat(item["created"])
        assert int(item["id"][:8], 16) == int(created.replace(tzinfo=UTC).timestamp())
        assert "modified" not in item or datetime.fromisoformat(item["modified"]) >= created
    assert list(new) == ["id", "project_id", "owner", "status", "metadata", "priority", *list(new)[6:]]
    assert new.keys() == {field.name.split("__")[0] for field in ASSIGNMENTS.schema}
    assert new["created"] == new["modified"] == "2026-03-01T12:30:15.250"
    assert new["id"] == api.account.ids("assignments")[-1]


def test_it_is_paged_sorted_and_filtered(api: Emulator) -> None:
    objects = api.account.objects("assignments")
    pages: list[dict[str, object]] = []
    while page := found(api, limit=20, sort="id", **({"id_gt": pages[-1]["id"]} if pages else {})):
        pages += page
    assert pages == objects
    assert api.requests[0].resource == "assignments"
    by_value = sorted(objects, key=lambda item: (item.get("exact_value") or -1, item["id"]))
    assert found(api, sort="exact_value,id", limit=20) == by_value[:20]
    mine = [item for item in objects if item.get("owner", {}).get("myself") is True]
    assert found(api, mine="true", limit=20) == mine[:20]
    assert 0 < len(mine) < 50
    wanted = objects[7] | {"project_id": "77", "status": "REJECTED"}
    api.account.edit("assignments", str(wanted["id"]), project_id="77", status="REJECTED")
    assert found(api, project_id=77, status="REJECTED") == [wanted]


def test_what_it_does_not_send_is_kept(api: Emulator) -> None:
    new = api.account.create("assignments")
    assert "seen" not in new
    assert found(api, seen_gte="2026-03-01T12:30:15.250") == [new]
    api.account.edit("assignments", new["id"], seen="2026-03-02")
    assert found(api, seen_gt="2026-03-01T12:30:15.250") == [new]
