"""The columns of the views for BI tools: one Arrow schema per view.

What a column means stands here and nowhere else; how it is made of the tables is in `sql/`.
"""

import pyarrow as pa

from toloka_source.catalog.schemas import BOOLEAN, INTEGER, NUMBER, TEXT, TIMESTAMP


def view(description: str, *columns: tuple[str, pa.DataType, str]) -> pa.Schema:
    """Return the columns of a view: the name, the type and the meaning of each."""
    fields = [pa.field(name, kind, metadata={b"description": meaning.encode()}) for name, kind, meaning in columns]
    return pa.schema(fields, metadata={b"description": description.encode()})


PROJECT = (
    ("project_id", TEXT, "the project's id"),
    ("project_name", TEXT, "the project's name, as Tolokers see it"),
    ("project_status", TEXT, "`ACTIVE` or `ARCHIVED`"),
)
IS_GONE = ("is_gone", BOOLEAN, "whether the account no longer has it, as of the last read of the whole list")
_VERSION = (
    ("valid_from", TIMESTAMP, "when this version was first seen"),
    ("valid_after", TIMESTAMP, "when the one before it was still seen: it became this one between the two"),
    ("valid_to", TIMESTAMP, "when it was no longer there; null for the current one"),
    ("is_current", BOOLEAN, "whether it is the current one"),
)
LOADED_AT = ("loaded_at", TIMESTAMP, "when this row was loaded the last time")

VIEWS: dict[str, pa.Schema] = {
    "projects": view(
        "Projects, one a row",
        *PROJECT[:2],
        ("status", TEXT, "`ACTIVE` or `ARCHIVED`"),
        ("created_at", TIMESTAMP, "when the project was created"),
        ("owner_id", TEXT, "the requester's id"),
        ("owner_company_id", TEXT, "the requester's company"),
        ("owned_by_me", BOOLEAN, "whether the requester is the account whose token loads"),
        ("assignment_type", TEXT, "how Tolokers get tasks: `AUTOMATED` or `MAP_SELECTOR`"),
        ("automerge", BOOLEAN, "whether identical tasks are merged"),
        ("max_active_assignments", INTEGER, "task suites one Toloker may have open at once"),
        ("input_fields", INTEGER, "input fields of a task: rows in `project_fields`"),
        ("output_fields", INTEGER, "output fields of a task: rows in `project_fields`"),
        ("has_quality_control", BOOLEAN, "whether there is a rule in `quality_rules`"),
        ("has_translations", BOOLEAN, "whether it is offered in more than one language"),
        ("has_map", BOOLEAN, "whether Tolokers choose tasks on a map"),
        ("interface_type", TEXT, "what the interface is made with: `classic` (HTML) or `tb` (Template Builder)"),
        ("trainings", INTEGER, "how many trainings it has"),
        ("last_training_start", TIMESTAMP, "when one of its trainings was started the last time"),
        ("private_comment", TEXT, "comment that only the requester sees"),
        IS_GONE,
        LOADED_AT,
    ),
    "trainings": view(
        "Trainings, one a row",
        ("training_id", TEXT, "the training's id"),
        ("training_name", TEXT, "the training's name, which only the requester sees"),
        *PROJECT,
        ("status", TEXT, "`OPEN`, `CLOSED`, `LOCKED` or `ARCHIVED`"),
        ("is_open", BOOLEAN, "whether the status is `OPEN`"),
        ("created_at", TIMESTAMP, "when the training was created"),
        (
            "last_started_at",
            TIMESTAMP,
            "when it was started the last time, if ever; earlier starts aren't known",
        ),
        ("last_stopped_at", TIMESTAMP, "when it was stopped the last time, if ever"),
        (
            "last_close_reason",
            TEXT,
            "why it was closed the last time, such as `MANUAL` or `EXPIRED`; it may be open again since",
        ),
        ("days_since_last_start", INTEGER, "whole days since it was started the last time"),
        ("open_hours", NUMBER, "hours it is open now, or was open the last time"),
        ("assignment_max_duration_seconds", INTEGER, "time for one task suite, in seconds"),
        ("tasks_per_suite", INTEGER, "tasks in one task suite"),
        ("suites_to_pass", INTEGER, "task suites to complete to pass"),
        ("retry_after_days", INTEGER, "days until the training may be taken again"),
        ("in_upload_order", BOOLEAN, "whether tasks come in the order of upload"),
        ("shuffles_tasks", BOOLEAN, "whether tasks are shuffled in a task suite"),
        ("adult_content", BOOLEAN, "whether the tasks may hold adult content"),
        ("inherits_instructions", BOOLEAN, "whether the project's instructions are used"),
        ("owner_id", TEXT, "the requester's id"),
        IS_GONE,
        LOADED_AT,
    ),
    "project_fields": view(
        "Input and output fields of the projects' tasks, one a row",
        *PROJECT,
        ("direction", TEXT, "`input` or `output`"),
        ("field_name", TEXT, "the field's name"),
        ("field_type", TEXT, "the type of its values, such as `string`, `url` or `json`, in lower case"),
        ("required", BOOLEAN, "whether there must be a value"),
        ("hidden", BOOLEAN, "whether Tolokers don't see it"),
        ("allowed_values", TEXT, "the values it may have, with commas between"),
    ),
    "quality_rules": view(
        "Quality control rules of the projects, one a row",
        *PROJECT,
        ("config_number", INTEGER, "the place of the rule's collector among the project's, from 1"),
        ("rule_number", INTEGER, "the rule's place among those of its collector, from 1"),
        ("collector", TEXT, "what is counted, such as `MAJORITY_VOTE` or `GOLDEN_SET`"),
        ("condition", TEXT, "when the action is taken, such as `skipped_in_row_count >= 10`"),
        ("action", TEXT, "what is done with the Toloker or the task, such as `RESTRICTION_V2`"),
        ("parameters", TEXT, "the action's parameters, as JSON"),
        ("collector_parameters", TEXT, "the collector's parameters, as JSON"),
    ),
    "loads": view(
        "Loads, one for each list a row, also those that found nothing new or failed",
        ("loaded_at", TIMESTAMP, "when the load was done"),
        ("resource", TEXT, "the list, such as `projects`"),
        (
            "kind",
            TEXT,
            "`first` and `re-scan`: of the whole list, `increment`: of what is new, or `back-fill`",
        ),
        ("loaded_rows", INTEGER, "objects that it brought"),
        ("new_rows", INTEGER, "those that the table didn't have; empty if that wasn't looked at"),
        ("changed_rows", INTEGER, "those that it had with another content; empty as `new_rows`"),
        ("unchanged_rows", INTEGER, "objects that the table had just so, and that weren't loaded again"),
        ("gone_rows", INTEGER, "objects that the list no longer has, found by this load"),
        ("rejected_rows", INTEGER, "objects that didn't fit and are in `rejected_items`"),
        ("requests", INTEGER, "requests to Toloka"),
        ("seconds", NUMBER, "how long the load took, with all its lists"),
        (
            "data_until",
            TIMESTAMP,
            "what was created or started up to this moment is in the table; other changes are up to `full_read_at`",
        ),
        (
            "full_read_at",
            TIMESTAMP,
            "when the whole list was last read: all changes up to this moment are in the table",
        ),
        ("load_id", TEXT, "dlt's id of what it brought; empty if that was nothing"),
        ("pipeline", TEXT, "the pipeline's name"),
        ("status", TEXT, "`ok`, or `failed`: nothing was loaded, and what was counted is empty"),
        ("error", TEXT, "why it failed"),
    ),
    "rejected": view(
        "Objects that didn't fit, one a row; the whole object is in the table `rejected_items`",
        ("resource", TEXT, "the list, such as `projects`"),
        ("id", TEXT, "the object's id"),
        ("field", TEXT, "the first field that doesn't fit"),
        ("reason", TEXT, "why it doesn't fit"),
        ("rejected_at", TIMESTAMP, "when it was read"),
    ),
    "setup_health": view(
        "Active projects without quality control or training, and trainings that are open for long, a finding a row",
        ("resource", TEXT, "the list, such as `projects`"),
        ("id", TEXT, "the object's id"),
        ("name", TEXT, "the object's name"),
        ("finding", TEXT, "`no quality control`, `no training` or `open for 90 days or more` since the last start"),
        *PROJECT,
        ("owner_id", TEXT, "the object's requester"),
        ("created_at", TIMESTAMP, "when the object was created"),
    ),
    "project_versions": view(
        "What each project was and when, with `history` on",
        *PROJECT[:2],
        ("status", TEXT, "`ACTIVE` or `ARCHIVED`"),
        ("created_at", TIMESTAMP, "when the project was created"),
        ("owner_id", TEXT, "the requester's id"),
        ("assignment_type", TEXT, "how Tolokers get tasks: `AUTOMATED` or `MAP_SELECTOR`"),
        ("automerge", BOOLEAN, "whether identical tasks are merged"),
        ("max_active_assignments", INTEGER, "task suites one Toloker may have open at once"),
        ("private_comment", TEXT, "comment that only the requester sees"),
        *_VERSION,
    ),
    "training_versions": view(
        "What each training was and when, with `history` on",
        ("training_id", TEXT, "the training's id"),
        ("training_name", TEXT, "the training's name, which only the requester sees"),
        ("project_id", TEXT, "the project's id"),
        ("status", TEXT, "`OPEN`, `CLOSED`, `LOCKED` or `ARCHIVED`"),
        ("is_open", BOOLEAN, "whether the status is `OPEN`"),
        ("created_at", TIMESTAMP, "when the training was created"),
        ("last_started_at", TIMESTAMP, "when it was started the last time, as of then"),
        ("last_stopped_at", TIMESTAMP, "when it was stopped the last time, as of then"),
        ("last_close_reason", TEXT, "why it was closed the last time, as of then"),
        ("owner_id", TEXT, "the requester's id"),
        *_VERSION,
    ),
    "status_changes": view(
        "Changes of a status, one a row, with `history` on",
        ("resource", TEXT, "the list, such as `projects`"),
        ("id", TEXT, "the object's id"),
        ("name", TEXT, "the object's name"),
        ("from_status", TEXT, "what it was"),
        ("to_status", TEXT, "what it became"),
        ("seen_after", TIMESTAMP, "when the old status was still seen: it changed between the two"),
        ("seen_at", TIMESTAMP, "when the new status was first seen"),
    ),
}
"""The views that are always there."""


RUNS: pa.Schema = pa.schema(
    [
        pa.field("loaded_at", TIMESTAMP),
        pa.field("pipeline", TEXT),
        pa.field("load_id", TEXT),
        pa.field("seconds", NUMBER),
        pa.field("resource", TEXT),
        pa.field("kind", TEXT),
        pa.field("loaded_rows", INTEGER),
        pa.field("new_rows", INTEGER),
        pa.field("changed_rows", INTEGER),
        pa.field("unchanged_rows", INTEGER),
        pa.field("gone_rows", INTEGER),
        pa.field("rejected_rows", INTEGER),
        pa.field("requests", INTEGER),
        pa.field("complete_until", TIMESTAMP),
        pa.field("status", TEXT),
        pa.field("error", TEXT),
    ]
)
"""The table of loads that we keep ourselves: dlt's own knows nothing of those that found nothing new."""
