"""The list endpoints of the API: one entry each.

A new list is one entry here and one schema in `schemas.py`; all other modules work on what these say. What a list can
be asked is from the API's reference, such as [pools](https://toloka.ai/docs/api/api-reference/#get-/pools); the
greatest `limit` of each is from the official Python client.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypedDict

from toloka_source.catalog import schemas
from toloka_source.catalog.endpoint import Cursor, Endpoint
from toloka_source.catalog.filters import Filter, Kind, equal, one_of, ranges
from toloka_source.errors import ConfigurationError, check_choice

CREATED = Cursor("created", is_never_null=True)
_BY_ID_AND_CREATED: Mapping[str, Kind] = {"id": "number", "created": "time"}

PROJECTS = Endpoint(
    name="projects",
    path="projects",
    nouns=("project", "projects"),
    schema=schemas.PROJECTS,
    ids="decimal",
    cursors=(CREATED,),
    filters={
        **one_of("status", "ACTIVE", "ARCHIVED"),
        "owner": Filter("owner__id"),
        **ranges(_BY_ID_AND_CREATED),
    },
    sort_keys=("id", "created", "public_name", "private_comment"),
    greatest_limit=300,
    page_size=300,
    is_default=True,
)

TRAININGS = Endpoint(
    name="trainings",
    path="trainings",
    nouns=("training", "trainings"),
    schema=schemas.TRAININGS,
    ids="decimal",
    cursors=(CREATED, Cursor("last_started")),
    filters={
        **one_of("status", "OPEN", "CLOSED", "LOCKED", "ARCHIVED"),
        **equal("project_id", "number"),
        **ranges({**_BY_ID_AND_CREATED, "last_started": "time"}),
    },
    sort_keys=("id", "created", "last_started"),
    greatest_limit=300,
    page_size=300,
    is_default=True,
)

POOLS = Endpoint(
    name="pools",
    path="pools",
    nouns=("pool", "pools"),
    schema=schemas.POOLS,
    ids="decimal",
    cursors=(CREATED, Cursor("last_started")),
    filters={
        **one_of("status", "OPEN", "CLOSED", "LOCKED", "ARCHIVED"),
        **equal("project_id", "number"),
        **ranges({**_BY_ID_AND_CREATED, "last_started": "time"}),
    },
    sort_keys=("id", "created", "last_started"),
    greatest_limit=300,
    page_size=300,
)

USER_BONUSES = Endpoint(
    name="user_bonuses",
    path="user-bonuses",
    nouns=("bonus", "bonuses"),
    schema=schemas.USER_BONUSES,
    ids="decimal",
    cursors=(CREATED,),
    filters={**equal("user_id"), **equal("assignment_id"), **ranges(_BY_ID_AND_CREATED)},
    sort_keys=("id", "created"),
    greatest_limit=300,
    page_size=300,
)

USER_SKILLS = Endpoint(
    name="user_skills",
    path="user-skills",
    nouns=("skill held", "skills held"),
    schema=schemas.USER_SKILLS,
    ids="decimal",
    cursors=(CREATED, Cursor("modified", is_never_null=True)),
    filters={
        **equal("user_id"),
        **equal("skill_id", "number"),
        **ranges({**_BY_ID_AND_CREATED, "modified": "time"}),
    },
    sort_keys=("id", "created", "modified"),
    greatest_limit=1000,
    page_size=1000,
    can_be_deleted=True,
)

USER_RESTRICTIONS = Endpoint(
    name="user_restrictions",
    path="user-restrictions",
    nouns=("restriction", "restrictions"),
    schema=schemas.USER_RESTRICTIONS,
    ids="decimal",
    cursors=(CREATED,),
    filters={
        **one_of("scope", "ALL_PROJECTS", "POOL", "PROJECT", "SYSTEM"),
        **equal("user_id"),
        **equal("pool_id", "number"),
        **equal("project_id", "number"),
        **ranges(_BY_ID_AND_CREATED),
    },
    sort_keys=("id", "created"),
    greatest_limit=500,
    page_size=500,
    can_be_deleted=True,
)

SKILLS = Endpoint(
    name="skills",
    path="skills",
    nouns=("skill", "skills"),
    schema=schemas.SKILLS,
    ids="decimal",
    cursors=(CREATED, Cursor("modified", is_column=False)),
    filters={
        **equal("name"),
        **equal("global", "flag"),
        **ranges({**_BY_ID_AND_CREATED, "modified": "time"}),
    },
    sort_keys=("id", "created"),
    greatest_limit=100,
    page_size=100,
)

_OPERATION_TYPES = (
    *("ANALYTICS", "POOL.ARCHIVE", "POOL.CLONE", "POOL.CLOSE", "POOL.OPEN", "PROJECT.ARCHIVE", "SOLUTION.AGGREGATE"),
    *("TASK.BATCH_CREATE", "TASK_SUITE.BATCH_CREATE", "TRAINING.ARCHIVE", "TRAINING.CLONE", "TRAINING.CLOSE"),
    *("TRAINING.OPEN", "USER_BONUS.BATCH_CREATE"),
)

OPERATIONS = Endpoint(
    name="operations",
    path="operations",
    nouns=("operation", "operations"),
    schema=schemas.OPERATIONS,
    ids="mixed",
    cursors=(Cursor("submitted", is_never_null=True), Cursor("finished")),
    filters={
        **one_of("type", *_OPERATION_TYPES),
        **one_of("status", "PENDING", "RUNNING", "SUCCESS", "FAIL"),
        **ranges({"id": "text", "submitted": "time", "finished": "time"}),
    },
    sort_keys=("id", "submitted", "finished"),
    greatest_limit=500,
    page_size=500,
)

_FOLDERS = ("INBOX", "OUTBOX", "AUTOMATIC_NOTIFICATION", "IMPORTANT", "UNREAD")

MESSAGE_THREADS = Endpoint(
    name="message_threads",
    path="message-threads",
    nouns=("message thread", "message threads"),
    schema=schemas.MESSAGE_THREADS,
    ids="object_id",
    cursors=(CREATED,),
    filters={
        "folder": Filter("folders", values=_FOLDERS, takes_several=True),
        "folder_ne": Filter("folders", "ne", values=_FOLDERS, takes_several=True),
        **ranges({"id": "text", "created": "time"}),
    },
    sort_keys=("id", "created"),
    greatest_limit=300,
    page_size=300,
)

_EVENTS = (
    *("ASSIGNMENT_APPROVED", "ASSIGNMENT_CREATED", "ASSIGNMENT_EXPIRED", "ASSIGNMENT_REJECTED", "ASSIGNMENT_SKIPPED"),
    *("ASSIGNMENT_SUBMITTED", "DYNAMIC_OVERLAP_COMPLETED", "POOL_CLOSED"),
)

WEBHOOK_SUBSCRIPTIONS = Endpoint(
    name="webhook_subscriptions",
    path="webhook-subscriptions",
    nouns=("webhook subscription", "webhook subscriptions"),
    schema=schemas.WEBHOOK_SUBSCRIPTIONS,
    ids="object_id",
    cursors=(),  # the API's own example was created in 1970, and an account has few of them
    filters={
        **one_of("event_type", *_EVENTS),
        **equal("pool_id", "number"),
        **ranges({"id": "text", "created": "time"}),
    },
    sort_keys=("id", "created"),
    greatest_limit=300,
    page_size=300,
    can_be_deleted=True,
)

_ENDPOINTS = {
    endpoint.name: endpoint
    for endpoint in (
        *(PROJECTS, TRAININGS, POOLS, USER_BONUSES, USER_SKILLS, USER_RESTRICTIONS),
        *(SKILLS, OPERATIONS, MESSAGE_THREADS, WEBHOOK_SUBSCRIPTIONS),
    )
}

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(_ENDPOINTS)
"""All endpoints by name."""

DEFAULT_ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {name: endpoint for name, endpoint in ENDPOINTS.items() if endpoint.is_default}
)
"""Those that are loaded unless others are asked for."""

ALL = "all"
"""In the place of names: each list."""


def resource_names(names: object = None) -> list[str]:
    """Return the names of lists that somebody asks for, each once.

    Args:
        names: Names, a text of them with commas between, or "all"; None: those that are loaded unless others are
            asked for.

    Raises:
        ConfigurationError: A name that isn't known, or none.
    """
    if names is None:
        return [*DEFAULT_ENDPOINTS]
    # an environment variable has a list as JSON
    chosen = re.findall(r"[^\s,\[\]\"']+", names) if isinstance(names, str) else names
    if not isinstance(chosen, Sequence) or not chosen:
        raise ConfigurationError("resources", names, "must be a list of names, or all")
    for name in chosen:
        check_choice("resources", name, (*ENDPOINTS, ALL))
    return [*ENDPOINTS] if ALL in chosen else [*dict.fromkeys(chosen)]


class Filters(TypedDict, total=False):
    """For each list the filters that are set, by their names."""

    projects: Mapping[str, object]
    trainings: Mapping[str, object]
    pools: Mapping[str, object]
    user_bonuses: Mapping[str, object]
    user_skills: Mapping[str, object]
    user_restrictions: Mapping[str, object]
    skills: Mapping[str, object]
    operations: Mapping[str, object]
    message_threads: Mapping[str, object]
    webhook_subscriptions: Mapping[str, object]
