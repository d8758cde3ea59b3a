"""All lists of the API, loaded from a local Toloka in which they belong together."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import NOON, Warehouse, expected_rows
from toloka_source import ENDPOINTS, Window, errors, load, load_window
from toloka_source.emulator import Account, Clock, Emulator, Fault

ALL = tuple(ENDPOINTS)


@pytest.fixture
def full(clock: Clock) -> Iterator[Warehouse]:
    """Return a warehouse of an account that has something in each list."""
    with Emulator(Account.lifelike(40, 30, clock=clock, others=True)) as emulator:
        yield Warehouse(emulator)


def assert_all_equal_account(warehouse: Warehouse) -> None:
    """Compare each table with the account, field by field, without what was gone."""
    account = warehouse.api.account
    for name, endpoint in ENDPOINTS.items():
        there = set(account.ids(name))
        found = [row for row in warehouse.rows(name) if row["id"] in there]
        assert found == expected_rows(account.objects(name), endpoint.schema), name


def happen(account: Account) -> None:
    """Let something happen in each list that a cursor tells of."""
    pool = account.create("pools", project_id=account.ids("projects")[0], status="CLOSED")
    account.open_pool(pool["id"])
    account.open_pool(next(one["id"] for one in account.objects("pools") if one["status"] == "CLOSED"))
    skill = account.create("skills")
    account.edit_skill(account.ids("skills")[0], private_comment="of use")
    held = account.objects("user_skills")[0]
    account.set_user_skill(held["user_id"], held["skill_id"], 12.5)
    account.set_user_skill(held["user_id"], skill["id"], 99.5)
    account.create("user_bonuses", amount=0.07)
    account.create("user_restrictions", scope="ALL_PROJECTS")
    account.create("message_threads")
    account.create("webhook_subscriptions")
    operation = account.create("operations", status="PENDING", finished=None)
    account.run_operation(operation["id"])
    account.finish_operation(operation["id"])
    account.create_training(account.create_project()["id"])


@pytest.mark.slow
def test_all_lists_equal_the_account(full: Warehouse) -> None:
    account = full.api.account
    first = full.load(resources="all", rescan_after_hours=24)
    assert [one.name for one in first.resources] == [*ALL]
    assert {one.rejected for one in first.resources} == {0}
    assert_all_equal_account(full)
    for asked in full.api.requests:
        assert asked.status == 200
        assert int(asked.params["limit"]) <= ENDPOINTS[str(asked.resource)].greatest_limit

    for _ in range(2):
        account.clock.advance(hours=2)
        happen(account)
        account.clock.advance(hours=2)
        found = {one.name: one for one in full.load(resources="all", rescan_after_hours=24).resources}
        assert {one.kind for name, one in found.items() if name != "webhook_subscriptions"} == {"increment"}
        assert found["webhook_subscriptions"].kind == "re-scan"  # it has no time to go by
        assert all(one.new for one in found.values())
        assert_all_equal_account(full)

    account.reply_to_thread(account.ids("message_threads")[0], "Thank you")
    for name in ("user_skills", "user_restrictions", "webhook_subscriptions"):
        account.delete(name, account.ids(name)[1])
    last = {one.name: one for one in full.load(resources="all", rescan_after_hours=0).resources}
    assert {name: (one.changed, one.gone) for name, one in last.items() if one.changed or one.gone} == {
        "message_threads": (1, 0),
        "user_skills": (0, 1),
        "user_restrictions": (0, 1),
        "webhook_subscriptions": (0, 1),
    }
    assert_all_equal_account(full)


def test_projects_and_trainings_are_what_is_loaded_unless_others_are_asked_for(full: Warehouse) -> None:
    assert [one.name for one in full.load().resources] == ["projects", "trainings"]
    assert list(full.source(resources=["pools", "pools"]).resources) == ["pools"]
    assert list(full.source(resources="pools, skills").resources) == ["pools", "skills"]
    assert list(full.source(resources=["all"]).resources) == [*ALL]


def test_the_configuration_names_lists(full: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__TOLOKA__RESOURCES", '["projects", "skills"]')
    assert list(full.source().resources) == ["projects", "skills"]
    monkeypatch.setenv("SOURCES__TOLOKA__RESOURCES", "all")
    assert list(full.source().resources) == [*ALL]


def test_a_window_leaves_out_what_has_no_times(full: Warehouse) -> None:
    start = NOON - timedelta(days=45)
    arguments: dict[str, Any] = {"token": "any", "base_url": full.api.base_url}
    report = load_window(Window(start, NOON), "duckdb", resources="all", **arguments)
    found = {
        one.name: one.rows for one in report.resources if one.name != "skills"
    }  # which have a time that isn't sent
    expected = {}
    for name in ALL:
        times = [
            [item[cursor.name] for cursor in ENDPOINTS[name].cursors if item.get(cursor.name)]
            for item in full.api.account.objects(name)
        ]
        expected[name] = sum(any(start < utc(time) <= NOON for time in of_item) for of_item in times)
    del expected["skills"], expected["webhook_subscriptions"]
    assert found == expected


def utc(text: str) -> datetime:
    """Return a time of the API's."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_list_that_may_not_be_read_is_named_and_the_others_are_loaded(
    full: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    full.api.fail(Fault.status(403), on="pools", times=None)
    report = full.load(resources=["projects", "pools", "skills"])
    assert [(one.name, one.is_forbidden, one.window_end is None) for one in report.resources] == [
        ("projects", False, False),
        ("pools", True, True),
        ("skills", False, False),
    ]
    assert "pools: nothing is loaded of it: the token has no right to read this list" in caplog.text
    assert full.count("projects") == 40
    with pytest.raises(errors.PermissionDeniedError, match="pools: the token may not read it"):
        report.raise_if_forbidden()

    full.api.clear_faults()
    after = full.load(resources=["projects", "pools", "skills"])
    assert [(one.name, one.kind) for one in after.resources] == [
        ("projects", "increment"),
        ("pools", "first"),
        ("skills", "increment"),
    ]
    after.raise_if_forbidden()


@pytest.mark.parametrize("how", ["refresh", "replace"])
def test_a_table_that_may_not_be_read_any_more_is_not_emptied(full: Warehouse, how: str) -> None:
    names = ["projects", "skills"]
    full.load(resources=names)
    full.api.fail(Fault.status(403), on="skills", times=None)
    source = full.source(resources=names)
    if how == "replace":
        source.resources["skills"].apply_hints(write_disposition="replace")
    with pytest.raises(errors.PermissionDeniedError):
        load(full.pipeline, source, refresh="drop_resources" if how == "refresh" else None)
    assert full.count("skills") == len(full.api.account.ids("skills"))


def test_nothing_may_be_read(full: Warehouse) -> None:
    full.api.fail(Fault.status(403), times=None)
    with pytest.raises(errors.PermissionDeniedError, match="has no right to read this list"):
        full.load()


def test_a_run_of_dlts_fails_as_nobody_reads_its_report(full: Warehouse) -> None:
    full.api.fail(Fault.status(403), on="pools", times=None)
    with pytest.raises(Exception, match="has no right to read this list"):
        full.pipeline.run(full.source(resources=["projects", "pools"]))
