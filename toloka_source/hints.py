"""The hints of dlt's that a resource has: what its columns are, and what only a run tells."""

import logging
from collections.abc import Iterable
from weakref import WeakKeyDictionary

import dlt
import pyarrow as pa
from dlt.common.destination.utils import resolve_merge_strategy
from dlt.common.schema.typing import C_DLT_ID, TColumnSchema, TTableSchema
from dlt.extract import DltResource, DltSource
from dlt.extract.exceptions import CurrentSourceNotAvailable

from toloka_source import schemas
from toloka_source.place import Place

log = logging.getLogger(__name__)

REJECTED_ITEMS = "rejected_items"
"""The table of objects that don't fit their schema."""


def column_hints(field: pa.Field) -> TColumnSchema:
    """Return dlt's hints for a column."""
    hints: TColumnSchema = {"name": field.name, "description": schemas.description(field)}
    if schemas.is_json(field):
        hints["data_type"] = "json"
    return hints


class RunHints:
    """What only a run tells: hints that its destination and its write disposition ask for, and unknown columns.

    They are taken back when the resource runs again, perhaps into another destination. Not sooner: dlt still writes
    tables by them after the resource has ended.
    """

    def __init__(self, known: Iterable[str]) -> None:
        """Begin with none; one object for a resource and all its copies.

        Args:
            known: The resource's own columns.
        """
        self._known = frozenset(known)
        self._given: dict[str, str] = {}

    def fit(self, resource: DltResource, place: Place | None) -> bool:
        """Give the resource the hints of a run that begins; tell whether its rows need a version in `_dlt_id`.

        Args:
            resource: What runs.
            place: What is loaded into, if anything is.
        """
        self._take_back(resource)
        if resource.has_dynamic_table_name:
            return False
        table = resource.compute_table_schema()
        if place and place.dialect == "postgres" and "file_format" not in table:
            # the CSV that dlt would load makes NULL of an empty text
            self._give_format(resource, "insert_values")
        if place:
            _warn_unless_merged(resource.name, table, place)
        if table.get("x-merge-strategy") != "scd2":
            return False
        has_key = any(column.get("merge_key") for column in table["columns"].values())
        if not has_key and "x-merge-destination-scope" not in table:
            # else dlt takes what an increment doesn't bring for deleted
            self._given["merge_key"] = "id"
            resource.apply_hints(merge_key="id")
        return bool(table["columns"].get(C_DLT_ID, {}).get("x-row-version"))

    def _give_format(self, resource: DltResource, file_format: str) -> None:
        self._given["file_format"] = file_format
        resource.apply_hints(file_format=file_format)  # type: ignore[arg-type] # one of dlt's
        resource.apply_hints(table_name=REJECTED_ITEMS, file_format=file_format, create_table_variant=True)  # type: ignore[arg-type]

    def _take_back(self, resource: DltResource) -> None:
        if isinstance(resource.columns, dict):
            for name in [name for name in resource.columns if name in self._given]:
                del resource.columns[name]
        if "file_format" in self._given:
            self._give_format(resource, "")
        if "merge_key" in self._given:
            resource.apply_hints(merge_key="")
        self._given.clear()

    def with_unknown_columns(self, table: pa.Table, resource: str) -> object:
        """Return the table, with hints for the columns that the schema doesn't know; they are logged once a run."""
        unknown = [field for field in table.schema if field.name not in self._known]
        if not unknown:
            return table
        if new := sorted({field.name for field in unknown} - self._given.keys()):
            self._given |= dict.fromkeys(new, "column")
            log.warning("%s: fields that are not documented: %s", resource, ", ".join(new))
        return dlt.mark.with_hints(table, dlt.mark.make_hints(columns=[column_hints(field) for field in unknown]))


def _warn_unless_merged(name: str, table: TTableSchema, place: Place) -> None:
    # what dlt's schema has of the table outlives the setting
    table = {**dlt.current.source_schema().tables.get(str(table["name"]), {}), **table}
    strategy = resolve_merge_strategy({str(table["name"]): table}, table, place.caps)
    if table["write_disposition"] == "merge" and strategy is None:
        log.warning(
            "%s: this destination adds rows and replaces none, an id has one from each load that brought it; "
            "the destination filesystem merges with table_format = 'delta'",
            name,
        )


class _JsonNoise(logging.Filter):
    """Keeps back dlt's warning that a column of JSON is a string in Arrow, for resources of ours alone."""

    _TEXT = "when merging arrow schema with dlt schema, several column hints were different"

    def __init__(self) -> None:
        super().__init__()
        self._running: WeakKeyDictionary[DltSource, set[str]] = WeakKeyDictionary()

    def add(self, source: DltSource, resource: str) -> None:
        self._running.setdefault(source, set()).add(resource)

    def filter(self, record: logging.LogRecord) -> bool:
        if self._TEXT not in record.getMessage():
            return True
        try:
            ours = self._running.get(dlt.current.source(), set())  # dlt extracts one source after the other
        except CurrentSourceNotAvailable:
            return True
        return not any(f"resource: {name}," in record.getMessage() for name in ours)


_json_noise = _JsonNoise()


def silence_json_warning(resource: str) -> None:
    """Have dlt not warn of the JSON columns of this resource in the source that runs."""
    _json_noise.add(dlt.current.source(), resource)
    logging.getLogger("dlt").addFilter(_json_noise)
