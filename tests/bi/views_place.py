"""A warehouse with the views for BI tools, as any program sees it, and what the views have to say of an account."""

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import dlt
import duckdb
import psycopg2

from tests.conftest import Warehouse
from toloka_source.emulator import Account, Emulator

Row = dict[str, Any]

Objects = dict[tuple[str, str], tuple[str, str]]
"""The name and the status of each object, by its list and id."""

OPERATORS = {"EQ": "=", "NE": "!=", "GT": ">", "GTE": ">=", "LT": "<", "LTE": "<="}


class Place(Warehouse):
    """A pipeline into a DuckDB file or a PostgreSQL database, read without dlt."""

    views = True

    def __init__(self, api: Emulator, url: str | None, dataset: str = "toloka_data", **settings: Any) -> None:
        """Attach to the database at the URL, or to DuckDB's file."""
        self.api = api
        self.url = url
        self.is_postgres = url is not None
        build = dlt.destinations.postgres if url else dlt.destinations.duckdb
        self.pipeline = dlt.pipeline(
            "toloka", destination=build(url or "toloka.duckdb", **settings), dataset_name=dataset
        )

    def ask(self, *statements: str) -> list[Row]:
        """Do something at the database, as anybody else could; return the last statement's rows."""
        if self.url is None:
            with duckdb.connect("toloka.duckdb") as connection:
                for statement in statements:
                    connection.execute(statement)
                rows, names = connection.fetchall(), [column[0] for column in connection.description or ()]
        else:
            with closing(psycopg2.connect(self.url, options="-c timezone=UTC")) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    for statement in statements:
                        cursor.execute(statement)
                    rows = cursor.fetchall() if cursor.description else []
                    names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def view(self, name: str) -> list[Row]:
        """Return the rows of a view, in an order that both engines can have."""
        return in_order(self.ask(f"SELECT * FROM toloka_bi.{name}"))  # noqa: S608 - a name of ours

    def one(self, query: str) -> Any:
        """Return the only value of a query's only row."""
        ((value,),) = (row.values() for row in self.ask(query))
        return value


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Return rows in an order that depends on what is in them alone."""
    return sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))


def text(value: Any) -> str | None:
    """Return a value of JSON as the text that people read."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def at(value: Any, *path: str) -> Any:
    """Return what is in an object, or in objects in it; None if there is no such thing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def items(value: Any) -> list[Any]:
    """Return the items of a list, none of anything else."""
    return value if isinstance(value, list) else []


def moment(value: str | None) -> datetime | None:
    """Read a time of the API's."""
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if value else None


def yes_no(value: Any) -> bool | None:
    """Return a yes or no; None for anything else."""
    return {"true": True, "false": False}.get(text(value) or "")


def _project(project: Row) -> Row:
    return {
        "project_id": project["id"],
        "project_name": project.get("public_name"),
        "project_status": project.get("status"),
    }


def fields_of(account: Account) -> list[Row]:
    """Return what `project_fields` has to say."""
    return [
        _project(project)
        | {
            "direction": direction,
            "field_name": name,
            "field_type": kind if (kind := text(at(field, "type"))) is None else kind.lower(),
            "required": yes_no(at(field, "required")),
            "hidden": yes_no(at(field, "hidden")),
            "allowed_values": allowed(at(field, "allowed_values")),
        }
        for project in account.projects
        for direction in ("input", "output")
        for name, field in (spec_of(project, direction)).items()
    ]


def spec_of(project: Row, direction: str) -> Row:
    """Return the fields of one direction by name."""
    found = at(project.get("task_spec"), f"{direction}_spec")
    return found if isinstance(found, dict) else {}


def allowed(value: Any) -> str | None:
    """Return allowed values as one text."""
    if not isinstance(value, list):
        return text(value)
    return ", ".join(shown for item in value if (shown := text(item)) is not None) or None


def rules_of(account: Account) -> list[Row]:
    """Return what `quality_rules` has to say."""
    return [
        _project(project)
        | {
            "config_number": config_number,
            "rule_number": rule_number,
            "collector": text(at(config, "collector_config", "type")),
            "condition": " and ".join(filter(None, map(condition, items(at(rule, "conditions"))))) or None,
            "action": text(at(rule, "action", "type")),
            "parameters": text(unless_empty(at(rule, "action", "parameters"))),
            "collector_parameters": text(unless_empty(at(config, "collector_config", "parameters"))),
        }
        for project in account.projects
        for config_number, config in enumerate(items(at(project.get("quality_control"), "configs")), 1)
        for rule_number, rule in enumerate(items(at(config, "rules")), 1)
        if isinstance(rule, dict)
    ]


def unless_empty(value: Any) -> Any:
    """Return None for an object with nothing in it."""
    return None if value == {} else value


def condition(term: Any) -> str:
    """Return a condition as people read it."""
    sign = text(at(term, "operator"))
    parts = (text(at(term, "key")), OPERATORS.get(sign or "", sign), text(at(term, "value")))
    return " ".join(part for part in parts if part is not None)


def projects_of(account: Account) -> list[Row]:
    """Return what `projects` has to say, but for the time of the load."""
    rules = {row["project_id"] for row in rules_of(account)}
    rows = []
    for project in account.projects:
        trainings = [training for training in account.trainings if training.get("project_id") == project["id"]]
        starts = [start for training in trainings if (start := moment(training.get("last_started")))]
        rows.append(
            {
                "project_id": project["id"],
                "project_name": project.get("public_name"),
                "status": project.get("status"),
                "created_at": moment(project.get("created")),
                "owner_id": at(project, "owner", "id"),
                "owner_company_id": at(project, "owner", "company_id"),
                "owned_by_me": at(project, "owner", "myself"),
                "assignment_type": project.get("assignments_issuing_type"),
                "automerge": project.get("assignments_automerge_enabled"),
                "max_active_assignments": project.get("max_active_assignments_count"),
                "input_fields": len(spec_of(project, "input")),
                "output_fields": len(spec_of(project, "output")),
                "has_quality_control": project["id"] in rules,
                "has_translations": bool(items(at(project.get("localization_config"), "additional_languages"))),
                "has_map": project.get("assignments_issuing_type") == "MAP_SELECTOR",
                "interface_type": text(at(project.get("task_spec"), "view_spec", "type")),
                "trainings": len(trainings),
                "last_training_start": max(starts, default=None),
                "private_comment": project.get("private_comment"),
                "is_gone": False,
            }
        )
    return rows


def findings_of(account: Account, now: datetime) -> list[Row]:
    """Return what `setup_health` has to say at a moment."""
    found = []
    for row in projects_of(account):
        checks = {"no quality control": row["has_quality_control"], "no training": row["trainings"]}
        found += [
            _finding("projects", row["project_id"], row["project_name"], finding, row, row["status"])
            for finding, is_there in checks.items()
            if row["status"] == "ACTIVE" and not is_there
        ]
    for row in trainings_of(account, now):
        if row["is_open"] and row["days_since_last_start"] is not None and row["days_since_last_start"] >= 90:
            finding = "open for 90 days or more"
            found.append(
                _finding("trainings", row["training_id"], row["training_name"], finding, row, row["project_status"])
            )
    return found


def _finding(resource: str, id_: str, name: str, finding: str, row: Row, project_status: str) -> Row:
    shared = {column: row[column] for column in ("project_id", "project_name", "owner_id", "created_at")}
    own = {"resource": resource, "id": id_, "name": name, "finding": finding, "project_status": project_status}
    return own | shared


def trainings_of(account: Account, now: datetime) -> list[Row]:
    """Return what `trainings` has to say at a moment, but for the time of the load."""
    projects = {project["id"]: project for project in account.projects}
    rows = []
    for training in account.trainings:
        project = projects.get(training.get("project_id"), {})
        started, stopped = moment(training.get("last_started")), moment(training.get("last_stopped"))
        is_open = None if training.get("status") is None else training["status"] == "OPEN"
        end = now if is_open else stopped if started and stopped and stopped >= started else None
        rows.append(
            {
                "training_id": training["id"],
                "training_name": training.get("private_name"),
                "project_id": training.get("project_id"),
                "project_name": project.get("public_name"),
                "project_status": project.get("status"),
                "status": training.get("status"),
                "is_open": is_open,
                "created_at": moment(training.get("created")),
                "last_started_at": started,
                "last_stopped_at": stopped,
                "last_close_reason": training.get("last_close_reason"),
                "days_since_last_start": (now - started).days if started else None,
                "open_hours": (end - started).total_seconds() / 3600 if started and end else None,
                "assignment_max_duration_seconds": training.get("assignment_max_duration_seconds"),
                "tasks_per_suite": training.get("training_tasks_in_task_suite_count"),
                "suites_to_pass": training.get("task_suites_required_to_pass"),
                "retry_after_days": training.get("retry_training_after_days"),
                "in_upload_order": training.get("mix_tasks_in_creation_order"),
                "shuffles_tasks": training.get("shuffle_tasks_in_task_suite"),
                "adult_content": training.get("may_contain_adult_content"),
                "inherits_instructions": training.get("inherited_instructions"),
                "owner_id": at(training, "owner", "id"),
                "is_gone": False,
            }
        )
    return rows


def objects_of(account: Account) -> Objects:
    """Return the name and the status of all there is."""
    return {
        **{("projects", item["id"]): (item["public_name"], item["status"]) for item in account.projects},
        **{("trainings", item["id"]): (item["private_name"], item["status"]) for item in account.trainings},
    }
