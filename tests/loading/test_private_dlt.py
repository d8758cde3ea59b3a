"""What dlt doesn't document and we use: each test says in words what broke, should a later dlt change it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pytest

from tests.conftest import Warehouse
from toloka_source import _dlt, _dlt_duckdb, load
from toloka_source.destinations.place import place_of

pytest_plugins = ["tests.postgres"]

SOURCE = Path(_dlt.__file__).parent
UNDOCUMENTED = (
    "dlt.common.configuration.container",
    "dlt.common.runtime",
    "dlt.destinations.job_client_impl",
    "dlt.destinations.sql_jobs",
    "dlt.extract.items",
    "dlt.extract.pipe",
    "dlt.extract.state",
    "dlt.pipeline.state_sync",
)


def test_all_of_it_stands_in_modules_of_its_own() -> None:
    for path in SOURCE.rglob("*.py"):
        if path.name.startswith("_dlt"):
            continue
        text = path.read_text()
        assert not [module for module in UNDOCUMENTED if f"from {module} import" in text], path
        assert "SLF001" not in text, path  # ruff's word for something private of somebody else's


def test_an_item_can_pass_all_steps(warehouse: Warehouse) -> None:
    @dlt.resource
    def numbers() -> Any:
        yield pa.table({"n": [1]})
        yield _dlt.past_all_steps(pa.table({"n": [2]}), "others")

    warehouse.pipeline.run(numbers().add_map(lambda table: table.append_column("mapped", pa.array([True]))))
    columns = warehouse.pipeline.default_schema.tables["others"]["columns"]
    said = "dlt's iterator sends a ResolvablePipeItem through the steps: a user's map now meets the rejected items"
    assert "mapped" not in columns, said
    assert warehouse.count("others") == 1, "a ResolvablePipeItem's TableNameMeta no longer names the table"


def test_the_state_can_be_read_and_set(warehouse: Warehouse) -> None:
    warehouse.api.account.create_project()
    warehouse.load()
    stored = _dlt.stored_state(warehouse.pipeline)
    assert stored, "the destination's state can't be read: load goes by the working folder's, whatever was restored"
    assert stored["toloka"]["resources"].keys() == {"projects", "trainings"}
    _dlt.set_state(warehouse.pipeline, "toloka", None)
    said = "managed_state doesn't keep what is changed in it: a package that is dropped leaves the cursor behind it"
    assert "toloka" not in warehouse.pipeline.state["sources"], said
    _dlt.set_state(warehouse.pipeline, "toloka", stored["toloka"])
    assert warehouse.pipeline.state["sources"]["toloka"] == stored["toloka"], said


@pytest.mark.parametrize("step", ["extract", "normalize", "load"])
def test_a_package_is_where_we_look_for_it(warehouse: Warehouse, step: str) -> None:
    pipeline = warehouse.pipeline
    pipeline.extract(warehouse.source())
    if step != "extract":
        pipeline.normalize()
    if step == "load":
        pipeline.load()
    folder = {"extract": "normalize/extracted", "normalize": "load/normalized", "load": "load/loaded"}[step]
    packages = {
        "extract": pipeline.list_extracted_load_packages,
        "normalize": pipeline.list_normalized_load_packages,
        "load": pipeline.list_completed_load_packages,
    }[step]
    (load_id,) = packages()
    said = f"dlt keeps a package after {step} elsewhere than in {folder}: a broken one is neither told nor removed"
    assert _dlt.package_schema(pipeline, load_id, folder)["name"] == "toloka", said
    if step != "load":
        (torn,) = [path / f"{0:032x}" for path in Path(pipeline.working_dir, folder, load_id).glob("new_jobs")]
        torn.touch()
        _dlt.mend_package(pipeline, load_id, folder)
        assert not torn.exists(), said
    _dlt.delete_package(pipeline, load_id, folder)
    assert list(packages()) == [], said


def test_tables_can_be_forgotten(warehouse: Warehouse) -> None:
    warehouse.load()
    warehouse.load()
    _dlt.forget_tables(warehouse.pipeline, "toloka")
    said = "dlt notes the tables that it has seen elsewhere: a table that is gone is never made again"
    assert warehouse.count("_dlt_version") == 0, said


def test_merges_lock_their_table(postgres_database: str, monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse) -> None:
    locked = []
    generate = _dlt.LockedMerge.generate_sql

    def note(*arguments: Any) -> list[str]:
        statements = generate(*arguments)
        locked.append(statements[0])
        return statements

    monkeypatch.setattr(_dlt.LockedMerge, "generate_sql", note)
    pipeline = dlt.pipeline("toloka", destination=_dlt.PostgresLocked(postgres_database), dataset_name="toloka_data")
    load(pipeline, warehouse.source())
    said = "dlt doesn't ask its client for merge jobs any more: windows that are loaded side by side double rows"
    assert len(locked) == 2, said
    assert all(statement.startswith("LOCK TABLE") for statement in locked), said


def test_a_client_without_that_hook_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dlt.destinations.impl.postgres.postgres import PostgresClient  # noqa: PLC0415 - needs the driver

    for kind in PostgresClient.__mro__:
        if "_create_merge_followup_jobs" in vars(kind):
            monkeypatch.delattr(kind, "_create_merge_followup_jobs")
    with pytest.raises(AttributeError):
        _ = _dlt.PostgresLocked("postgresql://nobody@127.0.0.1/none").client_class


def test_the_load_step_of_a_run_can_be_wrapped(warehouse: Warehouse) -> None:
    seen = []

    @contextmanager
    def context() -> Iterator[None]:
        seen.append(len(warehouse.pipeline.list_normalized_load_packages()))
        yield

    with _dlt_duckdb.around_load(warehouse.pipeline, context):
        warehouse.pipeline.run(warehouse.source())
    said = (
        "dlt's run doesn't call the pipeline's load any more: it loads into the file itself, which is open to be read"
    )
    assert seen == [1], said
    warehouse.pipeline.run(warehouse.source())
    assert seen == [1], "the pipeline's own load isn't there again"


def test_duckdb_can_be_opened_elsewhere_and_keeps_its_name(warehouse: Warehouse, own_folder: Path) -> None:
    given, place = warehouse.pipeline.destination, place_of(warehouse.pipeline)
    warehouse.pipeline.destination = _dlt_duckdb.opening(warehouse.pipeline, file=own_folder / "other.duckdb")
    info = warehouse.pipeline.run(warehouse.source())
    assert not Path("toloka.duckdb").exists(), "dlt doesn't ask the credentials for what to open: the copy isn't used"
    assert warehouse.count("projects") == 0
    assert str(own_folder / "toloka.duckdb") in str(info), "dlt's reports name the copy"
    assert place_of(warehouse.pipeline) == place, "the copy is another place: all is read again"
    loaded = _dlt_duckdb.loaded_packages(warehouse.pipeline)
    assert loaded == set(info.loads_ids), (
        "dlt notes what it has loaded elsewhere: a package is loaded twice after a kill"
    )
    warehouse.pipeline.destination = given
    assert _dlt_duckdb.loaded_packages(warehouse.pipeline) == set(), "the user's destination is another one"
