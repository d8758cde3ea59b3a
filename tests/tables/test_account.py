"""Another account's token, or an account that has lost most of its objects: refused before anything is written."""

from typing import Any

import dlt
import pytest

from tests.cli.test_command import Command, command, configured
from tests.conftest import Warehouse, fill
from tests.tables.test_changes import gone_items
from toloka_source import load
from toloka_source.emulator import Account, Clock, Emulator
from toloka_source.errors import AccountChangedError

__all__ = ["command", "configured"]  # fixtures

OTHER = {"id": "0ther", "myself": True}


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    """Return a pipeline that has loaded an account."""
    fill(warehouse.api.account)
    warehouse.load()
    return warehouse


def remove(account: Account, projects: int) -> None:
    """Let an account lose sight of projects."""
    for one in account.ids("projects")[:projects]:
        account.remove("projects", one)


def change_owner(account: Account) -> None:
    """Let the objects be of another account."""
    for project in account.projects:
        account.edit_project(project["id"], owner=OTHER)


@pytest.mark.slow
def test_far_fewer_objects_are_refused_until_they_are_allowed(filled: Warehouse, clock: Clock) -> None:
    remove(filled.api.account, 31)
    filled.api.account.create_project()
    before = filled.rows("projects"), filled.pipeline.state["sources"]
    for _ in range(2):
        with pytest.raises(AccountChangedError, match=r"projects: 31 of 60 objects .* allow_shrink"):
            filled.load(rescan_after_hours=0)
        assert (filled.rows("projects"), filled.pipeline.state["sources"]) == before
    report = filled.load(rescan_after_hours=0, allow_shrink=True).resources[0]
    assert (report.new, report.gone, gone_items(filled)) == (1, 0, [])
    clock.advance(hours=1)
    filled.load(rescan_after_hours=0)  # what was allowed is so
    remove(filled.api.account, 15)
    filled.load(rescan_after_hours=0)
    remove(filled.api.account, 12)
    assert filled.load(rescan_after_hours=0).is_short


@pytest.mark.parametrize(("missing", "share"), [(30, 0.1), (31, 0.6), (59, 1), (60, 1)])
def test_how_many_are_too_many(filled: Warehouse, missing: int, share: float) -> None:
    remove(filled.api.account, missing)
    if missing == 60:
        # there is nothing that it would have written
        report = filled.load(rescan_after_hours=0, gone_share=share)
        assert report.is_short
        assert (report.resources[0].is_short, report.resources[1].is_short) == (True, False)
        assert (gone_items(filled), filled.count("projects")) == ([], 60)
    else:
        assert filled.load(rescan_after_hours=0, gone_share=share).resources[0].gone == missing * (missing > 30)


def test_ten_objects_may_go_at_once(warehouse: Warehouse) -> None:
    for _ in range(10):
        warehouse.api.account.create_project()
    warehouse.load()
    remove(warehouse.api.account, 10)
    warehouse.load(rescan_after_hours=0)


@pytest.mark.parametrize("hours", [0, 24])
@pytest.mark.slow
def test_another_account_is_refused_until_it_is_allowed(filled: Warehouse, clock: Clock, hours: int) -> None:
    clock.advance(hours=1)
    filled.api.account.create_project(owner=OTHER)
    change_owner(filled.api.account)
    before = filled.rows("projects"), filled.pipeline.state["sources"]
    with pytest.raises(AccountChangedError, match=r"projects: the token is of the account 0ther, .*--allow-shrink"):
        filled.load(rescan_after_hours=hours)
    assert (filled.rows("projects"), filled.pipeline.state["sources"]) == before
    filled.load(rescan_after_hours=hours, allow_shrink=True)
    filled.load(rescan_after_hours=hours)
    assert filled.count("projects") == 61


@pytest.mark.parametrize(
    "arguments",
    [
        {"filters": {"projects": {"id_lt": "1"}, "trainings": {"id_lt": "1"}}},
        {"start_date": "2026-03-10"},
        {"start_date": "2026-03-09", "end_date": "2026-03-10"},
    ],
)
def test_a_part_of_the_list_is_not_refused(filled: Warehouse, arguments: dict[str, Any]) -> None:
    filled.load(rescan_after_hours=0, **arguments)


@pytest.mark.parametrize("disposition", ["append", "replace", {"disposition": "merge", "strategy": "scd2"}])
def test_other_dispositions_are_not_refused(api: Emulator, clock: Clock, disposition: Any) -> None:
    fill(api.account)
    warehouse = Warehouse(api)
    for _ in range(3):
        clock.advance(hours=1)
        for project in api.account.projects:
            api.account.edit_project(project["id"], private_comment=f"at {clock.now()}")
        source = warehouse.source(rescan_after_hours=0)
        for resource in source.resources.values():
            resource.apply_hints(write_disposition=disposition)
        load(warehouse.pipeline, source)


def test_another_place_may_have_another_account(filled: Warehouse) -> None:
    change_owner(filled.api.account)
    other = dlt.pipeline("toloka", destination=dlt.destinations.duckdb("other.duckdb"), dataset_name="toloka_data")
    load(other, filled.source())
    with pytest.raises(AccountChangedError):
        filled.load(rescan_after_hours=0)


def test_the_command(configured: Emulator, command: Command, caplog: pytest.LogCaptureFixture) -> None:
    fill(configured.account)
    assert command("load", "--progress", "off") == 0
    remove(configured.account, 60)
    assert command("load", "--progress", "off", "--full") == 1
    assert caplog.text.count("projects: 60 of 60 objects that the table holds are missing from the list") == 1
    assert command("load", "--progress", "off", "--full", "--allow-shrink") == 0
