"""The columns of the views of lists that are there only if their list was loaded; other lists get a plain one."""

from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa

from toloka_source.bi.view_schemas import IS_GONE, LOADED_AT, PROJECT, VIEWS, view
from toloka_source.catalog import ENDPOINTS, Endpoint
from toloka_source.catalog.schemas import BOOLEAN, INTEGER, MONEY, NUMBER, TEXT, TIMESTAMP


class ListView(NamedTuple):
    """A view that is there if a table is: the table's name, and the columns."""

    table: str
    schema: pa.Schema


_LIST_VIEWS: Mapping[str, ListView] = {
    "pools": ListView(
        "pools",
        view(
            "Pools, one a row",
            ("pool_id", TEXT, "the pool's id"),
            ("pool_name", TEXT, "the pool's name, which only the requester sees"),
            *PROJECT,
            ("status", TEXT, "`OPEN`, `CLOSED`, `LOCKED` or `ARCHIVED`"),
            ("is_open", BOOLEAN, "whether the status is `OPEN`"),
            ("reward", MONEY, "what a task suite pays, in US dollars"),
            ("created_at", TIMESTAMP, "when the pool was created"),
            ("last_started_at", TIMESTAMP, "when it was opened the last time, if ever"),
            ("last_stopped_at", TIMESTAMP, "when it was closed the last time, if ever"),
            ("last_close_reason", TEXT, "why it was closed the last time, such as `MANUAL` or `COMPLETED`"),
            ("will_expire_at", TIMESTAMP, "when it is closed at the latest"),
            ("open_hours", NUMBER, "hours it is open now, or was open the last time"),
            ("priority", INTEGER, "its place among the project's pools"),
            ("auto_accepts", BOOLEAN, "whether answers are accepted without a look at them"),
            ("adult_content", BOOLEAN, "whether the tasks may hold adult content"),
            ("owner_id", TEXT, "the requester's id"),
            IS_GONE,
            LOADED_AT,
        ),
    ),
    "bonuses": ListView(
        "user_bonuses",
        view(
            "Bonuses, one a row",
            ("bonus_id", TEXT, "the bonus's id"),
            ("user_id", TEXT, "the Toloker who got it"),
            ("amount", MONEY, "how much, in US dollars"),
            ("created_at", TIMESTAMP, "when it was given"),
            ("assignment_id", TEXT, "the answer that it is for, if for one"),
            ("pool_id", TEXT, "the pool of that answer, which its id names"),
            ("project_id", TEXT, "the project of that pool, where the pools are loaded too"),
            ("project_name", TEXT, "the project's name, as Tolokers see it"),
            ("private_comment", TEXT, "comment that only the requester sees"),
            IS_GONE,
            LOADED_AT,
        ),
    ),
    "skills_held": ListView(
        "user_skills",
        view(
            "Skills that Tolokers have, one a row",
            ("user_skill_id", TEXT, "id of the Toloker's skill"),
            ("user_id", TEXT, "the Toloker"),
            ("skill_id", TEXT, "the skill's id"),
            ("skill_name", TEXT, "the skill's name, where the skills are loaded too"),
            ("value", NUMBER, "its value, from 0 to 100"),
            ("created_at", TIMESTAMP, "when the Toloker first got it"),
            ("modified_at", TIMESTAMP, "when its value changed the last time"),
            IS_GONE,
            LOADED_AT,
        ),
    ),
    "restrictions": ListView(
        "user_restrictions",
        view(
            "Restrictions of Tolokers, one a row",
            ("restriction_id", TEXT, "the restriction's id"),
            ("user_id", TEXT, "the Toloker who is kept away"),
            ("scope", TEXT, "`ALL_PROJECTS`, `PROJECT`, `POOL` or `SYSTEM`"),
            ("is_in_force", BOOLEAN, "whether it hasn't ended, by the clock or by being lifted"),
            ("project_id", TEXT, "id of the project, for `PROJECT`"),
            ("project_name", TEXT, "the project's name, as Tolokers see it"),
            ("pool_id", TEXT, "id of the pool, for `POOL`"),
            ("pool_name", TEXT, "the pool's name, where the pools are loaded too"),
            ("created_at", TIMESTAMP, "when it began"),
            ("will_expire_at", TIMESTAMP, "when it ends; null for never"),
            ("private_comment", TEXT, "why; only the requester sees it"),
            IS_GONE,
            LOADED_AT,
        ),
    ),
}


def list_views() -> dict[str, ListView]:
    """Return the views that are there if their table is."""
    taken = {*VIEWS, *(view.table for view in _LIST_VIEWS.values())}
    plain = {name: ListView(name, _plain(endpoint)) for name, endpoint in ENDPOINTS.items() if name not in taken}
    return {**_LIST_VIEWS, **plain}


def view_of(resource: str) -> str:
    """Return the name of the view of a list's objects."""
    views = {view.table: name for name, view in list_views().items()}
    return views.get(resource, resource)


def _plain(endpoint: Endpoint) -> pa.Schema:
    title = f"{endpoint.nouns[1].capitalize()}, one a row"
    return pa.schema([*endpoint.schema, *view("", IS_GONE, LOADED_AT)], metadata={b"description": title.encode()})
