"""The hints of dlt's that a resource has: what its columns are, and what only a run tells."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.schema.typing import (
    C_DLT_ID,
    C_DLT_LOAD_ID,
    TColumnSchema,
    TTableFormat,
    TTableReferenceInline,
    TTableSchema,
)
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.extract import DltResource

from toloka_source import _dlt
from toloka_source.catalog import schemas
from toloka_source.destinations.place import Place
from toloka_source.tables.further_tables import FurtherTable
from toloka_source.tables.unknown_fields import MORE_FIELDS

log = logging.getLogger(__name__)

_ROW_BY_ROW = "insert_values"


def add_tables(resource: DltResource, tables: Mapping[str, FurtherTable], table_format: TTableFormat | None) -> None:
    """Let a resource have further tables, which are merged."""
    for name, table in tables.items():
        # the first call drops the columns that the table would have from the resource
        for columns in ([], [column_hints(column) for column in table.schema]):
            resource.apply_hints(
                table_name=name,
                columns=columns,
                primary_key=table.key,
                table_format=table_format,
                create_table_variant=True,
            )


def column_hints(field: pa.Field) -> TColumnSchema:
    """Return dlt's hints for a column."""
    hints: TColumnSchema = {"name": field.name, "description": schemas.description(field)}
    if schemas.is_json(field):
        hints["data_type"] = "json"
    return hints


@dataclass(frozen=True)
class Terms:
    """On which terms a run's rows go to their table.

    Attributes:
        table: The table with which they can be compared; None if they all go on.
        newest: Whether it keeps a row from each load that brought it, so that the newest counts.
        has_version: Whether the rows need a version in `_dlt_id`.
    """

    table: str | None = None
    newest: bool = False
    has_version: bool = False


class RunHints:
    """What only a run tells: hints that its destination and its write disposition ask for, and unknown columns."""

    def __init__(self, schema: pa.Schema, further: Collection[str]) -> None:
        """Begin with none; one object for a resource and all its copies.

        Args:
            schema: The resource's own columns.
            further: The names of its further tables.
        """
        self._schema = schema
        self._further = further
        self._known = {*schema.names, *schemas.VERSION.names, schemas.HASH.name, C_DLT_LOAD_ID, C_DLT_ID}
        self.unknown_columns: set[str] = set()
        """The columns that the table has of fields that the schema doesn't know."""
        self._unknown: set[str] = set()
        self._has_format = False

    def fit(self, resource: DltResource, place: Place | None) -> Terms:
        """Give the resource the hints of a run that begins; return the terms of its rows.

        Args:
            resource: What runs.
            place: What is loaded into, if anything is.
        """
        self._unknown.clear()
        self.unknown_columns = set()
        if resource.has_dynamic_table_name:
            return Terms()  # dlt takes it for rows alone, which a map of the user's makes: they keep empty texts
        _refer(resource, self._schema)
        table = resource.compute_table_schema()
        self.unknown_columns = stored_columns(str(table["name"])) - self._known - {MORE_FIELDS}
        if place and place.dialect == "postgres":
            if "file_format" not in table:
                # the CSV that dlt would load makes NULL of an empty text
                self._has_format = True
                self._set_format(resource, _ROW_BY_ROW)
        elif self._has_format and table.get("file_format") == _ROW_BY_ROW:
            # it ran into PostgreSQL before: dlt keeps the hint in the resource, and in the schema of the source
            self._has_format = False
            self._set_format(resource, "")
            _forget_format(str(table["name"]), *self._further)
        merges = place is None or _is_merged(resource.name, table, place)
        if table.get("x-merge-strategy") == "scd2":
            has_key = any(column.get("merge_key") for column in table["columns"].values())
            if not has_key and "x-merge-destination-scope" not in table:
                # else dlt takes what an increment doesn't bring for deleted
                resource.apply_hints(merge_key="id")
            return Terms(has_version=bool(table["columns"].get(C_DLT_ID, {}).get("x-row-version")))
        disposition = table["write_disposition"]
        if place is None or disposition == "replace":
            return Terms()
        return Terms(table=str(table["name"]), newest=not merges or disposition == "append")

    def of_unknown_columns(self, table: pa.Table, resource: str) -> list[TColumnSchema]:
        """Return the hints for the columns that the schema doesn't know; they are logged once a run."""
        unknown = [field for field in table.schema if field.name not in self._known]
        if new := sorted({field.name for field in unknown} - self._unknown):
            self._unknown |= set(new)
            log.warning("%s: fields that are not documented: %s", resource, ", ".join(new))
        return [column_hints(field) for field in unknown]

    def _set_format(self, resource: DltResource, file_format: Any) -> None:  # noqa: ANN401 - dlt's, or "" for none
        resource.apply_hints(file_format=file_format)
        for table in self._further:
            resource.apply_hints(table_name=table, file_format=file_format, create_table_variant=True)


def stored_columns(table: str) -> set[str]:
    """Return the columns that a table has, as far as dlt knows."""
    schema = dlt.current.source_schema()
    return set(schema.tables.get(schema.naming.normalize_table_identifier(table), {}).get("columns", {}))


def _refer(resource: DltResource, schema: pa.Schema) -> None:
    """Tell dlt which tables the columns refer to: it joins by that, and draws it.

    Only those that the run loads, by the names that they have in it: dlt draws nothing where it lacks one.
    """
    selected = dlt.current.source().selected_resources
    for field in schema:
        other = selected.get(schemas.refers_to(field) or "")
        if other is not None and not other.has_dynamic_table_name:
            reference: TTableReferenceInline = {
                "cardinality": "many_to_one",
                "columns": [field.name],
                "referenced_table": str(other.table_name),
                "referenced_columns": ["id"],
            }
            resource.apply_hints(references=[reference])


def _forget_format(*tables: str) -> None:
    schema = dlt.current.source_schema()
    for name in tables:
        schema.tables.get(schema.naming.normalize_table_identifier(name), {}).pop("file_format", None)


def _is_merged(name: str, table: TTableSchema, place: Place) -> bool:
    """Tell whether rows replace those of the same key; warn if they should and don't."""
    # what dlt's schema has of the table outlives the setting
    known = dlt.current.source_schema().tables.get(str(table["name"]), {})
    if _dlt.merges({**known, **table}, place.caps):
        return True
    log.warning(
        "%s: this destination adds rows and replaces none, an id has one from each load that brought it; "
        "the destination filesystem merges with table_format = 'delta' or 'iceberg'",
        name,
    )
    return False


def with_load_id(table: pa.Table) -> pa.Table:
    """Add the id of the package that brings the rows, as dlt does for rows that aren't Arrow's."""
    try:
        load_id = dlt.current.load_package_state()["load_id"]
    except CurrentLoadPackageStateNotAvailable:
        return table  # read without a pipeline
    # rows that an older version loaded have none
    return table.append_column(pa.field(C_DLT_LOAD_ID, schemas.TEXT), pa.repeat(load_id, table.num_rows))
