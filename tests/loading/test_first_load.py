"""The first load appends: it does so only where nobody else has brought rows meanwhile."""

import os
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import Warehouse, assert_tables_equal_account, fill, happen
from toloka_source import load

BACKFILL = ["backfill", "--start-date", "2025-12-01", "--end-date", "2026-03-01"]


@pytest.mark.parametrize("publish", [True, False])
@pytest.mark.parametrize(
    "other", [["load"], BACKFILL, ["load", "--dataset", "another"]], ids=["load", "back-fill", "into another dataset"]
)
def test_another_load_meanwhile(
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    other: list[str],
    publish: bool,  # noqa: FBT001
) -> None:
    fill(warehouse.api.account)
    configured = {"SOURCES__TOLOKA__TOKEN": "secret", "SOURCES__TOLOKA__BASE_URL": warehouse.api.base_url}
    pipeline, normalize = warehouse.pipeline, warehouse.pipeline.normalize

    def after_another(*arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(pipeline, "normalize", normalize)
        command = [sys.executable, "-m", "toloka_source", *other, "--no-publish"]
        subprocess.run(command, env={**os.environ, **configured, "DLT_DATA_DIR": "another"}, check=True)
        return normalize(*arguments, **more)

    monkeypatch.setattr(pipeline, "normalize", after_another)
    load(pipeline, warehouse.source(), publish=publish)
    assert ("this one begins again" in caplog.text) == ("another" not in other)
    assert_tables_equal_account(warehouse)
    happen(warehouse.api.account)
    report = load(pipeline, warehouse.source(), publish=publish)
    assert [resource.rows for resource in report.resources] == [1, 2]
    assert_tables_equal_account(warehouse)
