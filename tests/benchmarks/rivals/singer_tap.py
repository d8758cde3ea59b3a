"""The tap: two streams of the API, as the SDK's guide tells to write them."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import requests
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BaseAPIPaginator

PAGE_SIZE = 300

TEXT, INTEGER, BOOLEAN, TIME, NESTED = th.StringType, th.IntegerType, th.BooleanType, th.DateTimeType, th.ObjectType


class IdPaginator(BaseAPIPaginator[str | None]):  # type: ignore[misc] # the SDK isn't installed here
    """Goes on from a page's last id."""

    def __init__(self) -> None:
        """Begin without an id."""
        super().__init__(None)

    def get_next(self, response: requests.Response) -> str | None:
        """Return the last id of a page."""
        return str(response.json()["items"][-1]["id"])

    def has_more(self, response: requests.Response) -> bool:
        """Tell whether a page follows."""
        return bool(response.json()["has_more"])


class TolokaStream(RESTStream[str | None]):  # type: ignore[misc]
    """A list of the API."""

    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    records_jsonpath = "$.items[*]"

    @property
    def url_base(self) -> str:
        """Return the API's address."""
        return str(self.config["base_url"])

    @property
    def http_headers(self) -> dict[str, str]:
        """Return the token's header."""
        return {"Authorization": "OAuth benchmark"}

    def get_new_paginator(self) -> IdPaginator:
        """Return what pages."""
        return IdPaginator()

    def get_url_params(self, context: Mapping[str, Any] | None, next_page_token: str | None) -> dict[str, Any]:
        """Return the query of a page: the lane of the context, the page by id."""
        lane = (context or {}).get("lane", "created")
        parameters: dict[str, Any] = {"sort": "id", "limit": PAGE_SIZE}
        if next_page_token is not None:
            parameters["id_gt"] = next_page_token
        start = self.get_starting_replication_key_value(None)
        if start is not None:
            parameters[f"{lane}_gt"] = start
            if lane != "created":
                parameters["created_lte"] = start
        return parameters


class Projects(TolokaStream):
    """Projects; new ones are told by `created`."""

    name = "projects"
    path = "/projects"
    replication_key = "created"
    schema = th.PropertiesList(
        th.Property("id", TEXT, required=True),
        *(th.Property(name, TEXT) for name in ("public_name", "public_description", "public_instructions")),
        *(th.Property(name, TEXT) for name in ("private_comment", "assignments_issuing_type", "status")),
        *(
            th.Property(name, NESTED(additional_properties=True))
            for name in ("task_spec", "quality_control", "metadata")
        ),
        th.Property("assignments_issuing_view_config", NESTED(additional_properties=True)),
        th.Property("localization_config", NESTED(additional_properties=True)),
        th.Property("owner", NESTED(additional_properties=True)),
        *(th.Property(name, BOOLEAN) for name in ("assignments_automerge_enabled", "sensitive")),
        th.Property("max_active_assignments_count", INTEGER),
        th.Property("created", TIME),
    ).to_dict()


class Trainings(TolokaStream):
    """Trainings; the later one of `created` and `last_started` tells of new and restarted ones."""

    name = "trainings"
    path = "/trainings"
    replication_key = "changed"
    schema = th.PropertiesList(
        th.Property("id", TEXT, required=True),
        *(th.Property(name, TEXT) for name in ("project_id", "private_name", "public_instructions")),
        *(th.Property(name, TEXT) for name in ("status", "last_close_reason")),
        *(th.Property(name, BOOLEAN) for name in ("inherited_instructions", "may_contain_adult_content")),
        *(th.Property(name, BOOLEAN) for name in ("mix_tasks_in_creation_order", "shuffle_tasks_in_task_suite")),
        *(th.Property(name, INTEGER) for name in ("assignment_max_duration_seconds", "task_suites_required_to_pass")),
        *(th.Property(name, INTEGER) for name in ("training_tasks_in_task_suite_count", "retry_training_after_days")),
        *(th.Property(name, NESTED(additional_properties=True)) for name in ("metadata", "owner")),
        *(th.Property(name, TIME) for name in ("created", "last_started", "last_stopped", "changed")),
    ).to_dict()

    def get_records(self, context: Mapping[str, Any] | None) -> Iterable[dict[str, Any]]:
        """Read the lane of new trainings, then, in an increment, that of restarted ones."""
        yield from super().get_records(context)
        if self.get_starting_replication_key_value(None) is not None:
            yield from super().get_records({"lane": "last_started"})

    def post_process(self, row: dict[str, Any], context: Mapping[str, Any] | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Add the cursor."""
        row["changed"] = max(row["created"], row.get("last_started", ""))
        return row


class TapToloka(Tap):  # type: ignore[misc]
    """The tap."""

    name = "tap-toloka"
    config_jsonschema = th.PropertiesList(th.Property("base_url", TEXT, required=True)).to_dict()

    def discover_streams(self) -> list[TolokaStream]:
        """Return both streams."""
        return [Projects(self), Trainings(self)]
