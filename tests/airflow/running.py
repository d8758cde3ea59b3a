"""A DAG that is run, and what became of it."""

import json
from collections.abc import Callable
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.sdk import DAG

Connect = Callable[..., None]
"""What the fixture `connect` returns."""


def run(dag: DAG, **params: str) -> DagRun:
    """Run a DAG; return its run."""
    ended: DagRun = dag.test(run_conf=params or None)
    return ended


def states(ended: DagRun) -> dict[str, str]:
    """Return the state of each task; mapped ones have their number at the end."""
    tasks = sorted(ended.get_task_instances(), key=lambda task: (task.task_id, task.map_index))
    return {task.task_id + (f"[{task.map_index}]" if task.map_index >= 0 else ""): str(task.state) for task in tasks}


def report(ended: DagRun, task_id: str = "load") -> dict[str, Any]:
    """Return what a task returned, each resource by its name."""
    task = ended.get_task_instance(task_id)
    assert task is not None
    returned = task.xcom_pull(task_id)
    assert json.loads(json.dumps(returned)) == returned
    return {resource["name"]: resource for resource in returned["resources"]}


def attempts(ended: DagRun, task_id: str = "load") -> int:
    """Return how often a task was begun."""
    task = ended.get_task_instance(task_id)
    assert task
    return task.try_number
