"""Objects become rows: each in the table or among the rejected, whatever it holds."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import given
from hypothesis import strategies as st

from toloka_source.catalog import schemas
from toloka_source.tables.arrow import rejected_table, to_table

NORMALIZE = NamingConvention(63).normalize_path
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(["id", "created", "sensitive", "max_active_assignments_count", "owner", "task_spec", "status"])
objects = st.lists(st.dictionaries(fields | st.text(), anything, max_size=6), max_size=6)


def decode(items: list[dict[str, Any]]) -> list[dict[str, msgspec.Raw]]:
    return msgspec.json.decode(json.dumps(items).encode("utf-8", "surrogatepass"), type=list[dict[str, msgspec.Raw]])


@given(objects)
def test_each_object_is_in_one_of_the_two(items: list[dict[str, Any]]) -> None:
    table, rejected = to_table(decode(items), schemas.PROJECTS, NORMALIZE)
    assert table.num_rows + len(rejected) == len(items)
    assert table.schema.names[: len(schemas.PROJECTS)] == schemas.PROJECTS.names
    assert len(set(table.schema.names)) == len(table.schema.names)
    assert not any(name.startswith("_dlt") or not name for name in table.schema.names)
    for misfit in rejected:
        assert json.loads(misfit.item) in items
        assert misfit.reason
    rejects = rejected_table(rejected, "projects", NOON)
    assert len(set(rejects["key"].to_pylist())) == rejects.num_rows


@given(
    st.lists(
        st.fixed_dictionaries(
            {"id": st.integers(0, 10**30).map(str)},
            optional={
                "public_name": st.none() | st.text(),
                "sensitive": st.none() | st.booleans(),
                "max_active_assignments_count": st.none() | st.integers(-(2**63), 2**63 - 1),
                "metadata": st.none() | st.dictionaries(st.text(), anything, max_size=3),
                "created": st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(datetime.isoformat),  # noqa: DTZ001
                "owner": st.none() | st.fixed_dictionaries({}, optional={"id": st.text(), "myself": st.booleans()}),
            },
        ),
        max_size=5,
    )
)
def test_what_fits_survives_unchanged(items: list[dict[str, Any]]) -> None:
    table, rejected = to_table(decode(items), schemas.PROJECTS)
    assert rejected == []
    for row, item in zip(table.to_pylist(), items, strict=True):
        for name in ("id", "public_name", "sensitive", "max_active_assignments_count"):
            assert row[name] == item.get(name)
        assert (row["metadata"] and json.loads(row["metadata"])) == item.get("metadata")
        assert (row["created"] and row["created"].replace(tzinfo=None).isoformat()) == item.get("created")
        owner = item.get("owner") or {}
        assert (row["owner__id"], row["owner__myself"]) == (owner.get("id"), owner.get("myself"))


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({}, "id"),
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"id": "1", "created": "2026-02-30T00:00:00"}, "created"),
        ({"id": "1", "created": 1_700_000_000}, "created"),
        ({"id": "1", "max_active_assignments_count": "5"}, "max_active_assignments_count"),
        ({"id": "1", "max_active_assignments_count": 2**63}, "max_active_assignments_count"),
        ({"id": "1", "sensitive": 0}, "sensitive"),
        ({"id": "1", "owner": [1]}, "owner"),
        ({"id": "1", "owner": {"myself": "yes"}}, "owner__myself"),
    ],
)
def test_what_does_not_fit_is_named(item: dict[str, Any], field: str) -> None:
    table, (misfit,) = to_table(decode([{"id": "7"}, item, {"id": "8"}]), schemas.PROJECTS)
    assert table["id"].to_pylist() == ["7", "8"]
    assert misfit.field == field
    assert json.loads(misfit.item) == item


def test_bytes_that_are_no_unicode_are_rejected_whole() -> None:
    body = b'[{"id": "1", "public_name": "\xff"}, {"id": "2", "metadata": {"a": "\xfe"}}, {"id": "3", "new": "\xfd"}]'
    table, rejected = to_table(msgspec.json.decode(body, type=list[dict[str, msgspec.Raw]]), schemas.PROJECTS)
    assert table.num_rows == 0
    assert [misfit.field for misfit in rejected] == ["public_name", "metadata", "new"]


@given(st.decimals(-(10**20), 10**20, places=12), st.floats(0, 10_000))
def test_money_is_exact_to_a_billionth(amount: Decimal, reward: float) -> None:
    raw = {"id": b'"1"', "amount": str(amount).encode()}
    item = {name: msgspec.Raw(value) for name, value in raw.items()}
    (bonus,) = to_table([item], schemas.USER_BONUSES)[0].to_pylist()
    assert abs(bonus["amount"] - amount) <= Decimal("0.0000000005")
    pool = decode([{"id": "1", "reward_per_assignment": reward}])
    (row,) = to_table(pool, schemas.POOLS)[0].to_pylist()
    assert float(row["reward_per_assignment"]) == pytest.approx(reward, abs=1e-9)


def test_sums_of_money_are_what_they_look_like() -> None:
    items = decode([{"id": str(number), "amount": 0.07} for number in range(1000)])
    table, rejected = to_table(items, schemas.USER_BONUSES)
    assert not rejected
    assert sum(table["amount"].to_pylist()) == Decimal(70)


@pytest.mark.parametrize("amount", [b"true", b'"NaN"', b'"Infinity"', b"[1]", b"1e400", b"1e30", b'"a lot"'])
def test_what_is_no_amount_is_rejected(amount: bytes) -> None:
    item = {"id": msgspec.Raw(b'"1"'), "amount": msgspec.Raw(amount)}
    _, (misfit,) = to_table([item], schemas.USER_BONUSES)
    assert (misfit.field, misfit.id) == ("amount", '"1"')
