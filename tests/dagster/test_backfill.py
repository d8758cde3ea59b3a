"""The months of the back-fill: which there are, what each covers, how they are run."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from tests.conftest import assert_tables_equal_account
from tests.dagster.conftest import Engine, load_definitions, materialized
from toloka_source.emulator import Account, Fault
from toloka_source.errors import ConfigurationError

pytest_plugins = ["tests.postgres"]

MONTHS = ("2025-11-01", "2025-12-01", "2026-01-01")
SEAMS = [datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)]


def fill_around_seams(account: Account) -> None:
    """Create objects just before, at, and just after the seams of the months; start trainings a month later."""
    millisecond = timedelta(milliseconds=1)
    for seam in SEAMS:
        for moment in (seam - millisecond, seam, seam + millisecond):
            account.clock.set(moment)
            project = account.create_project()
            account.create_training(project["id"])
    for training in account.ids("trainings")[:3]:
        account.clock.advance(days=1)
        account.start_training(training)
    account.clock.set(datetime(2026, 3, 10, 12, tzinfo=UTC))


def rows(result: dg.ExecuteInProcessResult) -> list[tuple[Any, Any]]:
    """Return how many projects and trainings each month brought."""
    return [(month["projects_rows"], month["trainings_rows"]) for month in materialized(result, "backfill")]


def test_each_object_is_in_one_month_and_none_is_in_no_month(engine: Engine) -> None:
    fill_around_seams(engine.api.account)
    found = []
    for month in MONTHS:
        result = engine.run("backfill", partition_key=month)
        assert result.success
        found += rows(result)
    # a month ends with the next one's first moment; trainings that were started come again
    assert found == [(2, 2), (3, 3), (1, 4)]
    assert_tables_equal_account(engine.warehouse)


def test_a_month_that_is_loaded_again_changes_nothing(engine: Engine) -> None:
    fill_around_seams(engine.api.account)
    for month in (*MONTHS, *MONTHS):
        assert engine.run("backfill", partition_key=month).success
    assert_tables_equal_account(engine.warehouse)


def test_the_months_of_one_run_are_loaded_one_after_the_other(duckdb_engine: Engine) -> None:
    fill_around_seams(duckdb_engine.api.account)
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    result = duckdb_engine.run("backfill", tags=dict(zip(names, MONTHS[::2], strict=True)))
    assert result.success
    assert rows(result) == [(2, 2), (3, 3), (1, 4)]
    bounds = [request.params["created_lte"] for request in duckdb_engine.api.requests if request.resource == "projects"]
    assert bounds == ["2025-12-01T00:00:00.000", "2026-01-01T00:00:00.000", "2026-02-01T00:00:00.000"]
    assert_tables_equal_account(duckdb_engine.warehouse)


def test_the_regular_run_goes_on_from_its_own_cursor(engine: Engine) -> None:
    account = engine.api.account
    fill_around_seams(account)
    assert engine.run().success
    account.clock.advance(hours=1)
    account.create_project()
    account.clock.advance(hours=1)
    assert engine.run("backfill", partition_key=MONTHS[0]).success
    result = engine.run()
    assert materialized(result, "projects")[0]["rows"] == 1
    assert_tables_equal_account(engine.warehouse)


def test_what_a_month_rejects_fails_the_check_of_the_next_regular_run(engine: Engine) -> None:
    fill_around_seams(engine.api.account)
    assert engine.run().success
    engine.api.account.edit_project("2", max_active_assignments_count="many")
    result = engine.run("backfill", partition_key=MONTHS[0])
    assert materialized(result, "backfill")[0]["projects_rejected"] == 1
    checks = {
        (one.asset_key.path[-1], one.check_name): one.passed for one in engine.run().get_asset_check_evaluations()
    }
    assert [key for key, passed in checks.items() if not passed] == [("projects", "rejected_items")]


def test_a_list_that_may_not_be_read_fails_its_month_and_the_other_is_loaded(engine: Engine) -> None:
    fill_around_seams(engine.api.account)
    engine.api.fail(Fault.status(403), on="trainings", times=None)
    assert not engine.run("backfill", partition_key=MONTHS[0]).success
    assert engine.warehouse.count("projects") == 2


def test_the_months_are_the_complete_ones_since_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLOKA_BACKFILL_START", "2026-01-15")
    months = load_definitions().backfill.partitions_def
    # the first month begins with the start, or after it; the current one isn't over
    assert months.get_partition_keys(datetime(2026, 4, 30, 23, 59, tzinfo=UTC)) == ["2026-02-01", "2026-03-01"]
    assert months.get_partition_keys(datetime(2026, 5, 1, tzinfo=UTC)) == ["2026-02-01", "2026-03-01", "2026-04-01"]


def test_a_start_that_is_no_date_says_what_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLOKA_BACKFILL_START", "spring")
    with pytest.raises(ConfigurationError, match="TOLOKA_BACKFILL_START = 'spring': not a date; write YYYY-MM-DD"):
        load_definitions()


@pytest.mark.parametrize(
    ("destination", "policy", "pools"),
    [("duckdb", dg.BackfillPolicy.single_run(), {"toloka"}), ("postgres", None, set())],
)
def test_months_go_side_by_side_but_into_duckdb(
    destination: str, policy: dg.BackfillPolicy | None, pools: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLOKA_DESTINATION", destination)
    backfill = load_definitions().backfill
    assert backfill.backfill_policy == policy
    assert backfill.op.pools == pools
