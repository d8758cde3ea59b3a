"""The tables' columns: one Arrow schema per endpoint, in the API's field order.

Every fact about a column stands here and nowhere else: its name, its type, what it means. Facts are from the API's
reference, such as [projects](https://toloka.ai/docs/api/api-reference/#get-/projects), its descriptions and examples.

`a__b` is the field `b` of the nested object `a`. A `json` column is a string in Arrow and holds the text the API sent.
"""

import pyarrow as pa

TEXT = pa.string()
TIMESTAMP = pa.timestamp("us", tz="UTC")
INTEGER = pa.int64()
BOOLEAN = pa.bool_()
NUMBER = pa.float64()
MONEY = pa.decimal128(38, 9)
"""US dollars, to a billionth; as dlt has decimals."""

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

_OWNER = (
    _column("owner__id", TEXT, "the requester's id"),
    _column("owner__myself", BOOLEAN, "whether that is the token's own account"),
    _column("owner__company_id", TEXT, "the requester's company"),
)

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
        *_OWNER,
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
        *_OWNER,
        _column("status", TEXT, "`OPEN`, `CLOSED`, `LOCKED` or `ARCHIVED`"),
        _column("last_close_reason", TEXT, "why it was closed the last time, such as `MANUAL` or `EXPIRED`"),
        _column("created", TIMESTAMP, "when the training was created"),
        _column("last_started", TIMESTAMP, "when it was started the last time, if ever"),
        _column("last_stopped", TIMESTAMP, "when it was stopped the last time, if ever"),
    ]
)

POOLS: pa.Schema = pa.schema(
    [
        _column("id", TEXT, "the pool's id, a decimal number"),
        _id_in("projects", "project_id", "id of its project"),
        _column("private_name", TEXT, "name that only the requester sees"),
        _column("private_comment", TEXT, "comment that only the requester sees"),
        _column("public_description", TEXT, "description shown to Tolokers in place of the project's"),
        _column("public_instructions", TEXT, "instructions of its own, in HTML"),
        _column("may_contain_adult_content", BOOLEAN, "whether the tasks hold adult content"),
        _column("will_expire", TIMESTAMP, "when it is closed at the latest"),
        _column("auto_close_after_complete_delay_seconds", INTEGER, "seconds from its last task to its closing"),
        _column("reward_per_assignment", MONEY, "what a task suite pays, in US dollars"),
        _json("dynamic_pricing_config", "how the pay depends on a skill"),
        _json("metadata", "free metadata"),
        _column("assignment_max_duration_seconds", INTEGER, "time for one task suite, in seconds"),
        _column("auto_accept_solutions", BOOLEAN, "whether answers are accepted without a look at them"),
        _column("auto_accept_period_day", INTEGER, "days until an answer that nobody looked at is accepted"),
        _json("assignments_issuing_config", "in which order task suites are handed out"),
        _json("filter", "which Tolokers may work on it"),
        _json("quality_control", "quality control rules, and the training that is asked for"),
        _json("mixer_config", "how tasks are mixed to suites"),
        _json("dynamic_overlap_config", "how many answers a task gets, by how sure they are"),
        _json("training_config", "further settings of the training that is asked for"),
        _json("defaults", "what new task suites have unless they say so"),
        _column("training", BOOLEAN, "whether it is a training"),
        _column("priority", INTEGER, "its place among the project's pools, from 0 to 100"),
        *_OWNER,
        _column("type", TEXT, "`REGULAR`; out of use"),
        _column("status", TEXT, "`OPEN`, `CLOSED`, `LOCKED` or `ARCHIVED`"),
        _column("last_close_reason", TEXT, "why it was closed the last time, such as `MANUAL` or `COMPLETED`"),
        _column("created", TIMESTAMP, "when the pool was created"),
        _column("last_started", TIMESTAMP, "when it was opened the last time, if ever"),
        _column("last_stopped", TIMESTAMP, "when it was closed the last time, if ever"),
        _json("speed_quality_balance", "which share of the Tolokers may work on it, by their quality"),
    ]
)

USER_BONUSES: pa.Schema = pa.schema(
    [
        _column("user_id", TEXT, "the Toloker who got it"),
        _column("amount", MONEY, "how much, in US dollars"),
        _column("private_comment", TEXT, "comment that only the requester sees"),
        _json("public_title", "title of the message to the Toloker, by language"),
        _json("public_message", "text of that message, by language"),
        _column("without_message", BOOLEAN, "whether there was no message"),
        _column("assignment_id", TEXT, "the answer that it is for, if for one"),
        _column("id", TEXT, "the bonus's id, a decimal number"),
        _column("created", TIMESTAMP, "when it was given"),
    ]
)

USER_SKILLS: pa.Schema = pa.schema(
    [
        _column("id", TEXT, "id of the Toloker's skill, a decimal number"),
        _id_in("skills", "skill_id", "id of the skill"),
        _column("user_id", TEXT, "the Toloker who has it"),
        _column("value", INTEGER, "its value, rounded"),
        _column("exact_value", NUMBER, "its value, from 0 to 100"),
        _column("created", TIMESTAMP, "when the Toloker first got it"),
        _column("modified", TIMESTAMP, "when its value changed the last time"),
    ]
)

USER_RESTRICTIONS: pa.Schema = pa.schema(
    [
        _column("id", TEXT, "the restriction's id, a decimal number"),
        _column("scope", TEXT, "`ALL_PROJECTS`, `PROJECT`, `POOL` or `SYSTEM`"),
        _column("user_id", TEXT, "the Toloker who is kept away"),
        _id_in("projects", "project_id", "id of the project, for `PROJECT`"),
        _id_in("pools", "pool_id", "id of the pool, for `POOL`"),
        _column("private_comment", TEXT, "why; only the requester sees it"),
        _column("will_expire", TIMESTAMP, "when it ends; null for never"),
        _column("created", TIMESTAMP, "when it began"),
    ]
)

SKILLS: pa.Schema = pa.schema(
    [
        _column("id", TEXT, "the skill's id, a decimal number"),
        _column("name", TEXT, "its name"),
        _json("public_name", "the name that Tolokers see, by language"),
        _column("private_comment", TEXT, "comment that only the requester sees"),
        _json("public_requester_description", "the description that Tolokers see, by language"),
        _column("hidden", BOOLEAN, "whether it is hidden from Tolokers"),
        _column("skill_ttl_hours", INTEGER, "hours after its last change at which a Toloker loses it"),
        _column("deprecated", BOOLEAN, "whether it is out of use"),
        *_OWNER,
        _column("training", BOOLEAN, "whether it comes from a training"),
        _column("created", TIMESTAMP, "when the skill was created"),
        _column("global", BOOLEAN, "whether it is Toloka's own, for everybody"),
    ]
)

OPERATIONS: pa.Schema = pa.schema(
    [
        _column("id", TEXT, "the operation's id, a UUID or an ObjectId"),
        _column("type", TEXT, "what is done, such as `POOL.OPEN`"),
        _column("status", TEXT, "`PENDING`, `RUNNING`, `SUCCESS` or `FAIL`"),
        _column("submitted", TIMESTAMP, "when it was asked for"),
        _column("started", TIMESTAMP, "when it began, if it did"),
        _column("finished", TIMESTAMP, "when it ended, if it did"),
        _column("progress", INTEGER, "how much of it is done, in percent"),
        _json("parameters", "what it was asked to do"),
        _json("details", "what it found, or why it failed"),
    ]
)

MESSAGE_THREADS: pa.Schema = pa.schema(
    [
        _column("id", TEXT, "the thread's id, an ObjectId"),
        _id_in("message_threads", "parent_id", "id of the thread that it belongs to, if to one"),
        _json("topic", "its title, by language"),
        _column("interlocutors_inlined", BOOLEAN, "whether `interlocutors` has all who take part"),
        _json("interlocutors", "who takes part"),
        _column("messages_inlined", BOOLEAN, "whether `messages` has all messages"),
        _json("messages", "its messages, the newest first"),
        _json("compose_details", "to whom it was sent, for those that the requester began"),
        _json("meta", "the pool, project and answer that it is about"),
        _json("folders", "where it lies, such as `INBOX` and `UNREAD`"),
        _column("answerable", BOOLEAN, "whether the Toloker can answer"),
        _column("created", TIMESTAMP, "when its first message was written"),
    ]
)

WEBHOOK_SUBSCRIPTIONS: pa.Schema = pa.schema(
    [
        _column("id", TEXT, "the subscription's id, an ObjectId"),
        _column("created", TIMESTAMP, "when the subscription was made"),
        _column("event_type", TEXT, "what is told of, such as `POOL_CLOSED`"),
        _column("webhook_url", TEXT, "the address that is told"),
        _id_in("pools", "pool_id", "id of the pool"),
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
