"""The objects of the other lists: they belong to the account's projects and trainings, and to each other."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from toloka_source.catalog import ENDPOINTS, Endpoint, schemas
from toloka_source.emulator import Account, Clock
from toloka_source.emulator.birth import Birth
from toloka_source.emulator.from_schema import from_schema
from toloka_source.emulator.lifelike_people import USERS
from toloka_source.tables.arrow import to_table

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_999, tzinfo=UTC)
OTHERS = [name for name, endpoint in ENDPOINTS.items() if not endpoint.is_default]


@pytest.fixture(scope="module")
def account() -> Account:
    return Account.lifelike(projects=60, clock=Clock(NOW), others=True)


def born(name: str, item: dict[str, Any]) -> datetime:
    cursors = ENDPOINTS[name].cursors
    return datetime.fromisoformat(item[cursors[0].name if cursors else "created"])


def references(account: Account) -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """Each object that names one of another list: its own list, it, the other list, the id."""
    for name, endpoint in ENDPOINTS.items():
        for item in account.objects(name):
            for column in endpoint.schema:
                if (other := schemas.refers_to(column)) and item.get(column.name):
                    yield name, item, other, item[column.name]
    for item in account.objects("user_bonuses"):
        if "assignment_id" in item:
            yield "user_bonuses", item, "pools", str(int(item["assignment_id"].partition("--")[0], 16))
    for item in account.objects("operations"):
        ((parameter, id_),) = item["parameters"].items()
        yield "operations", item, {"pool_id": "pools", "training_id": "trainings"}[parameter], id_


def test_projects_and_trainings_are_the_same_with_and_without_the_others(account: Account) -> None:
    alone = Account.lifelike(projects=60, clock=Clock(NOW))
    assert (alone.projects, alone.trainings) == (account.projects, account.trainings)
    assert {name: alone.objects(name) for name in OTHERS} == {name: [] for name in OTHERS}
    again = Account.lifelike(projects=60, clock=Clock(NOW), others=True)
    for name in OTHERS:
        assert account.objects(name) == again.objects(name)
        assert 6 <= len(account.objects(name)) <= 240


def test_what_an_object_names_is_there_and_is_older(account: Account) -> None:
    there = {name: {item["id"]: born(name, item) for item in account.objects(name)} for name in ENDPOINTS}
    found = set()
    for name, item, other, id_ in references(account):
        found.add((name, other))
        assert there[other][id_] <= born(name, item)
    expected = {
        (name, "pools") for name in ("user_bonuses", "user_restrictions", "operations", "webhook_subscriptions")
    }
    expected |= {("pools", "projects"), ("trainings", "projects"), ("user_restrictions", "projects")}
    expected |= {("user_skills", "skills"), ("operations", "trainings"), ("message_threads", "message_threads")}
    assert found == expected


def test_all_lists_name_the_same_tolokers(account: Account) -> None:
    assert len(set(USERS)) == len(USERS)
    for name in ("user_skills", "user_bonuses", "user_restrictions"):
        assert {item["user_id"] for item in account.objects(name)} <= set(USERS)
    threads = account.objects("message_threads")
    tolokers = {one["id"] for thread in threads for one in thread["interlocutors"] if one["role"] == "USER"}
    assert tolokers
    assert tolokers <= set(USERS)
    held = [(item["user_id"], item["skill_id"]) for item in account.objects("user_skills")]
    assert len(set(held)) == len(held)


def test_times_and_ids_are_as_in_life(account: Account) -> None:
    for name in OTHERS:
        for item in account.objects(name):
            assert born(name, item) <= NOW.replace(tzinfo=None)
            for cursor in ENDPOINTS[name].cursors:
                assert item.get(cursor.name) is None or datetime.fromisoformat(item[cursor.name]) >= born(name, item)
            if ENDPOINTS[name].ids == "object_id" or (name == "operations" and "-" not in item["id"]):
                assert int(item["id"][:8], 16) == int(born(name, item).replace(tzinfo=UTC).timestamp())
    assert 0.3 < sum("-" in id_ for id_ in account.ids("operations")) / len(account.ids("operations")) < 0.7
    assert {item["status"] for item in account.objects("pools")} >= {"OPEN", "CLOSED", "ARCHIVED"}
    assert all(0.01 <= item["reward_per_assignment"] <= 0.30 for item in account.objects("pools"))
    assert {item["scope"] for item in account.objects("user_restrictions")} == {"PROJECT", "POOL", "ALL_PROJECTS"}
    ends = [item["will_expire"] for item in account.objects("user_restrictions") if "will_expire" in item]
    assert min(ends) < NOW.isoformat() < max(ends)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))
def test_the_objects_fit_their_columns(account: Account, endpoint: Endpoint) -> None:
    rng = random.Random(endpoint.name)  # noqa: S311 - any will do
    since, until = datetime(2024, 1, 1), datetime(2025, 1, 1)  # noqa: DTZ001 - as the API
    plain = [from_schema(endpoint, Birth(rng, str(id_), since, until, lambda _rng, _name: None)) for id_ in range(100)]
    for objects in (account.objects(endpoint.name), plain):
        assert objects
        items = [msgspec.json.decode(msgspec.json.encode(item), type=dict[str, msgspec.Raw]) for item in objects]
        table, rejected = to_table(items, endpoint.schema)
        assert not rejected
        kept = {cursor.name for cursor in endpoint.cursors if not cursor.is_column}
        assert set(table.column_names) - {*endpoint.schema.names, "_toloka_hash"} <= kept
        assert len(table) == len(objects)


def test_as_many_as_are_asked_for() -> None:
    account = Account.lifelike(projects=5, clock=Clock(NOW), others={"user_bonuses": 20, "pools": 3, "skills": 1})
    sizes = {name: len(account.ids(name)) for name in ENDPOINTS if account.ids(name)}
    assert sizes == {"projects": 5, "trainings": 3, "pools": 3, "user_bonuses": 20, "skills": 1}
    with pytest.raises(ValueError, match="no pools that user_bonuses could belong to"):
        Account.lifelike(projects=5, others={"user_bonuses": 20})
    with pytest.raises(ValueError, match="no list of 'bonuses'"):
        Account.lifelike(projects=5, others={"bonuses": 20})
    with pytest.raises(ValueError, match="projects are an argument of their own"):
        Account.lifelike(projects=5, others={"projects": 20})
    assert not any(Account.lifelike(projects=0, others=True).ids(name) for name in ENDPOINTS)
