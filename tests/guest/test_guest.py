"""A guest in dlt: each feature that leaves an object in its newest form, with `run` and `load` alike."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dlt
import pyarrow as pa
import pytest
from dlt.extract import DltSource

from tests.amounts import each_once
from tests.conftest import Warehouse, happen
from tests.guest.features import WAYS, Do, assert_equal, each, merged_by, with_length
from toloka_source.emulator import Account

pytest_plugins = ["tests.guest.fixtures"]


@dataclass(frozen=True)
class Feature:
    """Something of dlt's that leaves each object in its newest form in the tables.

    Attributes:
        prepare: Applies it to a source.
        environment: Settings that it consists of.
        tables: Names of tables that differ from the resources'.
    """

    prepare: Callable[[DltSource], object] = lambda _: None
    environment: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)


def _transform(source: DltSource) -> None:
    @dlt.transformer(data_from=source.projects, name="names")
    def names(table: pa.Table) -> Iterator[Any]:
        yield [{"name": name} for name in table["public_name"].to_pylist()]

    source.resources.add(names)


def _contract(source: DltSource) -> None:
    source.schema_contract = {"tables": "evolve", "columns": "freeze", "data_type": "freeze"}


FEATURES = {
    "nothing": Feature(),
    "add_map": Feature(lambda source: source.projects.add_map(with_length)),
    "add_limit that isn't reached": Feature(lambda source: source.projects.add_limit(100)),
    "a transformer": Feature(_transform),
    "table_name": Feature(lambda source: source.projects.apply_hints(table_name="ours"), tables={"projects": "ours"}),
    "upsert": Feature(lambda source: each(source, write_disposition=merged_by("upsert"))),
    "replace": Feature(lambda source: each(source, write_disposition="replace")),
    "contracts": Feature(_contract),
    "naming direct": Feature(environment={"SCHEMA__NAMING": "direct"}),
    "one worker": Feature(environment={"EXTRACT__WORKERS": "1"}),
    "dlt's own load id": Feature(environment={"NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true"}),
    "no state from the destination": Feature(environment={"RESTORE_FROM_DESTINATION": "false"}),
}

MORE_FEATURES = {
    "add_filter": Feature(lambda source: source.projects.add_filter(lambda table: table.num_rows > 0)),
    "a column's hint": Feature(lambda source: source.projects.apply_hints(columns=[{"name": "status", "sort": True}])),
    "delete-insert": Feature(lambda source: each(source, write_disposition=merged_by("delete-insert"))),
    "naming sql_cs_v1": Feature(environment={"SCHEMA__NAMING": "sql_cs_v1"}),
    "fifo": Feature(environment={"EXTRACT__NEXT_ITEM_MODE": "fifo"}),
}


@pytest.mark.parametrize(
    ("name", "sources", "do"),
    each_once(FEATURES, ["fresh sources", "one source"], WAYS, more=MORE_FEATURES),
    indirect=["do"],
)
@pytest.mark.slow
def test_a_feature_of_dlt(
    warehouse: Warehouse,
    account: Account,
    do: Do,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    sources: str,
) -> None:
    feature = (FEATURES | MORE_FEATURES)[name]
    for variable, value in feature.environment.items():
        monkeypatch.setenv(variable, value)
    pipeline = Warehouse(warehouse.api).pipeline
    source = warehouse.source()
    feature.prepare(source)
    before = [(resource.write_disposition, resource.table_name) for resource in source.resources.values()]
    for _ in range(2):
        do(pipeline, source)
        assert_equal(pipeline, account, feature.tables)
        happen(account)
        if sources == "fresh sources":
            source = warehouse.source()
            feature.prepare(source)
    do(pipeline, source)
    warehouse.api.clear_requests()
    do(pipeline, source)
    assert_equal(pipeline, account, feature.tables)
    if name != "replace":
        assert len(warehouse.api.requests) == 3  # it went on from the cursor
    assert [(resource.write_disposition, resource.table_name) for resource in source.resources.values()] == before
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []
