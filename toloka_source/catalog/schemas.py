"""The tables' columns: one Arrow schema per endpoint, in the API's field order.

Every fact about a column stands here and nowhere else: its name, its type, what it means. Facts are from the API's
reference: [projects](https://toloka.ai/docs/api/api-reference/#get-/projects) and
[trainings](https://toloka.ai/docs/api/api-reference/#get-/trainings).

`a__b` is the field `b` of the nested object `a`. A `json` column is a string in Arrow and holds the text the API sent.
"""

import pyarrow as pa

TEXT = pa.string()
TIMESTAMP = pa.timestamp("us", tz="UTC")
INTEGER = pa.int64()
BOOLEAN = pa.bool_()

_JSON_KEY = b"json"
_DESCRIPTION_KEY = b"description"
_REFERS_TO_KEY = b"refers_to"


def _column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    # nothing but the id is promised by the API
    return pa.field(name, kind, nullable=name != "id", metadata={_DESCRIPTION_KEY: description.encode()})


def _json(name: str, description: str) -> pa.Field:
    metadata = {_DESCRIPTION_KEY: description.encode(), _JSON_KEY: b"1"}
    return pa.field(name, TEXT, metadata=metadata)


def _id_in(resource: str, name: str, description: str) -> pa.Field:
    """Return a column that holds the `id` of another resource's objects."""
    column = _column(name, TEXT, description)
    return column.with_metadata({**column.metadata, _REFERS_TO_KEY: resource.encode()})


def is_json(field: pa.Field) -> bool:
    """Tell whether a column holds JSON text."""
    return _JSON_KEY in (field.metadata or {})


def description(field: pa.Field) -> str:
    """Return what a column means, in a few words."""
    return bytes(field.metadata[_DESCRIPTION_KEY]).decode()


def refers_to(field: pa.Field) -> str | None:
    """Return the resource whose `id` a column holds; None if it is no such column."""
    name = field.metadata.get(_REFERS_TO_KEY)
    return name and bytes(name).decode()


def unknown_column(name: str) -> pa.Field:
    """Return the column of a field that the schema doesn't know: its JSON text."""
    return _json(name, "a field that the API's description doesn't have")


def more_fields_column(name: str) -> pa.Field:
    """Return the column of those fields for which there are no columns any more."""
    return _json(name, "an object of further fields that the API's description doesn't have")


HASH: pa.Field = _column("_toloka_hash", INTEGER, "a hash of the object: another one means a change")
"""The column that each list's table has beside its own."""

VERSION: pa.Schema = pa.schema(
    [
        _column("valid_from", TIMESTAMP, "when this version was first seen"),
        _column("valid_after", TIMESTAMP, "when the one before it was still seen; it became this one between the two"),
        _column("valid_to", TIMESTAMP, "when it was no longer there; null for the current one"),
    ]
)
"""The columns that a table of versions has beside those of its list."""

PROJECTS: pa.Schema = pa.schema(
    [
        _column("id", TEXT, "the project's id, a decimal number"),
        _column("public_name", TEXT, "name shown to Tolokers"),
        _column("public_description", TEXT, "description shown to Tolokers"),
        _column("public_instructions", TEXT, "instructions for the tasks, in HTML"),
        _column("private_comment", TEXT, "comment that only the requester sees"),
        _json("task_spec", "input and output fields, and the task's interface"),
        _column("assignments_issuing_type", TEXT, "`AUTOMATED` or `MAP_SELECTOR`"),
        _json("assignments_issuing_view_config", "what the map shows, for `MAP_SELECTOR`"),
        _json("quality_control", "quality control rules"),
        _column("assignments_automerge_enabled", BOOLEAN, "whether identical tasks are merged"),
        _column("max_active_assignments_count", INTEGER, "task suites one Toloker may have open at once"),
        _json("metadata", "free metadata"),
        _column("sensitive", BOOLEAN, "whether the tasks hold sensitive data"),
        _json("localization_config", "source language and translations"),
        _column("owner__id", TEXT, "the requester's id"),
        _column("owner__myself", BOOLEAN, "whether that is the token's own account"),
        _column("owner__company_id", TEXT, "the requester's company"),
        _column("status", TEXT, "`ACTIVE` or `ARCHIVED`"),
        _column("created", TIMESTAMP, "when the project was created"),
    ]
)

TRAININGS: pa.Schema = pa.schema(
    [
        _column("id", TEXT, "the training's id, a decimal number"),
        _id_in("projects", "project_id", "id of its project"),
        _column("private_name", TEXT, "name that only the requester sees"),
        _column("inherited_instructions", BOOLEAN, "whether the project's instructions are used"),
        _column("public_instructions", TEXT, "instructions of its own, in HTML"),
        _column("may_contain_adult_content", BOOLEAN, "whether the tasks hold adult content"),
        _column("assignment_max_duration_seconds", INTEGER, "time for one task suite, in seconds"),
        _column("mix_tasks_in_creation_order", BOOLEAN, "whether tasks come in the order of upload"),
        _column("shuffle_tasks_in_task_suite", BOOLEAN, "whether tasks are shuffled in a suite"),
        _column("training_tasks_in_task_suite_count", INTEGER, "tasks in one suite"),
        _column("task_suites_required_to_pass", INTEGER, "task suites to complete to pass"),
        _column("retry_training_after_days", INTEGER, "days until the training may be taken again"),
        _json("metadata", "free metadata"),
        _column("owner__id", TEXT, "the requester's id"),
        _column("owner__myself", BOOLEAN, "whether that is the token's own account"),
        _column("owner__company_id", TEXT, "the requester's company"),
        _column("status", TEXT, "`OPEN`, `CLOSED`, `LOCKED` or `ARCHIVED`"),
        _column("last_close_reason", TEXT, "why it was closed the last time, such as `MANUAL` or `EXPIRED`"),
        _column("created", TIMESTAMP, "when the training was created"),
        _column("last_started", TIMESTAMP, "when it was started the last time, if ever"),
        _column("last_stopped", TIMESTAMP, "when it was stopped the last time, if ever"),
    ]
)

REJECTED_ITEMS: pa.Schema = pa.schema(
    [
        _column("key", TEXT, "a digest of the resource and the object"),
        _column("resource", TEXT, "the list that it came from"),
        _column("id", TEXT, "its id, as the API sent it"),
        _column("field", TEXT, "the first field that doesn't fit"),
        _column("reason", TEXT, "why it doesn't fit"),
        _column("rejected_at", TIMESTAMP, "when it was read"),
        _json("item", "the whole object"),
    ]
)

GONE_ITEMS: pa.Schema = pa.schema(
    [
        _column("resource", TEXT, "the list that it was in"),
        _column("id", TEXT, "its id"),
        _column("gone_at", TIMESTAMP, "when the list was found without it"),
        _column("back_at", TIMESTAMP, "when it was found again, if ever"),
    ]
)
