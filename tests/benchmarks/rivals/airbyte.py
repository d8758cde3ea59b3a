"""PyAirbyte with a declarative source, into its own DuckDB cache.

A declarative stream has one cursor, and a table of its own: restarted trainings are a stream beside the new ones, and
a view over both would be what people query. It begins at the moment of the first load, so that the first load doesn't
read every started training twice.
"""

import sys
from pathlib import Path
from typing import Any

import airbyte
from airbyte.caches import DuckDBCache

from tests.benchmarks import checks

FILE = "airbyte.duckdb"
START = "1970-01-01T00:00:00.000000"
FIRST_LOAD = "2026-01-01T00:00:00.000000"
PAGE_SIZE = 300

TEXT, INTEGER, BOOLEAN, NESTED = ({"type": ["null", kind]} for kind in ("string", "integer", "boolean", "object"))
TIME = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_without_timezone"}

PROJECTS = {
    **dict.fromkeys(("id", "public_name", "public_description", "public_instructions", "private_comment"), TEXT),
    **dict.fromkeys(("task_spec", "assignments_issuing_view_config", "quality_control", "metadata"), NESTED),
    **dict.fromkeys(("localization_config", "owner"), NESTED),
    **dict.fromkeys(("assignments_issuing_type", "status"), TEXT),
    **dict.fromkeys(("assignments_automerge_enabled", "sensitive"), BOOLEAN),
    "max_active_assignments_count": INTEGER,
    "created": TIME,
}
TRAININGS = {
    **dict.fromkeys(("id", "project_id", "private_name", "public_instructions", "status", "last_close_reason"), TEXT),
    **dict.fromkeys(("inherited_instructions", "may_contain_adult_content"), BOOLEAN),
    **dict.fromkeys(("mix_tasks_in_creation_order", "shuffle_tasks_in_task_suite"), BOOLEAN),
    **dict.fromkeys(("assignment_max_duration_seconds", "training_tasks_in_task_suite_count"), INTEGER),
    **dict.fromkeys(("task_suites_required_to_pass", "retry_training_after_days"), INTEGER),
    **dict.fromkeys(("metadata", "owner"), NESTED),
    **dict.fromkeys(("created", "last_started", "last_stopped"), TIME),
}

# started again: the row of the other stream is the older one
_TRAININGS_QUERY = """
SELECT id, private_name, created, last_started FROM (
    SELECT id, private_name, created, last_started, 1 AS age FROM restarted_trainings
    UNION ALL SELECT id, private_name, created, last_started, 2 FROM trainings
) QUALIFY row_number() OVER (PARTITION BY id ORDER BY age) = 1
"""


def prepare(base_url: str) -> tuple[airbyte.Source, DuckDBCache]:
    """Return source and cache."""
    source = airbyte.get_source(
        "source-toloka",
        config={"token": "benchmark", "__injected_declarative_manifest": _manifest(base_url)},
        local_executable=Path(sys.executable).with_name("source-declarative-manifest"),
        streams="*",
    )
    return source, DuckDBCache(db_path=Path(FILE), schema_name="main")


def first_load(job: tuple[airbyte.Source, DuckDBCache]) -> int:
    """Run once."""
    source, cache = job
    return int(source.read(cache=cache).processed_records)


def increment(job: tuple[airbyte.Source, DuckDBCache]) -> int:
    """Run once more: the same call."""
    return first_load(job)


def rescan(job: tuple[airbyte.Source, DuckDBCache]) -> int:
    """Run once more without the state: a full refresh."""
    source, cache = job
    return int(source.read(cache=cache, force_full_refresh=True).processed_records)


def check() -> checks.Facts:
    """Return what is in the tables."""
    return checks.of_tables(FILE, {"projects": "FROM projects", "trainings": _TRAININGS_QUERY})


def _manifest(base_url: str) -> dict[str, Any]:
    streams = [
        _stream(base_url, "projects", "projects", "created", START, PROJECTS),
        _stream(base_url, "trainings", "trainings", "created", START, TRAININGS),
        _stream(base_url, "restarted_trainings", "trainings", "last_started", FIRST_LOAD, TRAININGS),
    ]
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["projects"]},
        "streams": streams,
        "spec": {
            "type": "Spec",
            "connection_specification": {
                "type": "object",
                "required": ["token"],
                "properties": {"token": {"type": "string", "airbyte_secret": True}},
            },
        },
    }


def _stream(base_url: str, name: str, path: str, cursor: str, start: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "DeclarativeStream",
        "name": name,
        "primary_key": ["id"],
        "schema_loader": {
            "type": "InlineSchemaLoader",
            "schema": {"type": "object", "additionalProperties": True, "properties": properties},
        },
        "incremental_sync": {
            "type": "DatetimeBasedCursor",
            "cursor_field": cursor,
            "datetime_format": "%Y-%m-%dT%H:%M:%S.%f",
            "cursor_datetime_formats": ["%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S"],
            "start_datetime": {"type": "MinMaxDatetime", "datetime": start},
            "start_time_option": {
                "type": "RequestOption",
                "inject_into": "request_parameter",
                "field_name": f"{cursor}_gt",
            },
        },
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": base_url,
                "path": f"/{path}",
                "http_method": "GET",
                "authenticator": {
                    "type": "ApiKeyAuthenticator",
                    "api_token": "OAuth {{ config['token'] }}",
                    "inject_into": {"type": "RequestOption", "inject_into": "header", "field_name": "Authorization"},
                },
                "request_parameters": {"sort": "id"},
            },
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["items"]},
            },
            "paginator": {
                "type": "DefaultPaginator",
                "page_size_option": {
                    "type": "RequestOption",
                    "inject_into": "request_parameter",
                    "field_name": "limit",
                },
                "page_token_option": {
                    "type": "RequestOption",
                    "inject_into": "request_parameter",
                    "field_name": "id_gt",
                },
                "pagination_strategy": {
                    "type": "CursorPagination",
                    "page_size": PAGE_SIZE,
                    "cursor_value": "{{ last_record['id'] }}",
                    "stop_condition": "{{ not response.has_more }}",
                },
            },
        },
    }
