"""Dagster's launcher of runs in Celery workers, which sees that a worker is gone, too.

To Celery a task has "started" for good when its worker is killed, or its machine switched off.
"""

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus  # they have no public name
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

ANSWER_SECONDS = 5


class AskingCeleryRunLauncher(CeleryRunLauncher):
    """Starts each run as a Celery task; run monitoring asks the task's worker whether it is still at it."""

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return what Celery says of the run's task, but FAILED if its worker isn't at it."""
        health = super().check_run_worker_health(run)
        if health.status is WorkerStatus.RUNNING and not self._is_at_work(run.tags[DAGSTER_CELERY_TASK_ID_TAG]):
            return CheckRunHealthResult(WorkerStatus.FAILED, "its Celery worker is gone, or doesn't answer")
        return health

    def _is_at_work(self, task: str) -> bool:
        started = self.celery.AsyncResult(task).info
        if not isinstance(started, dict):
            return True  # it has ended since
        worker = started["hostname"]
        answers = self.celery.control.inspect(destination=[worker], timeout=ANSWER_SECONDS).query_task(task)
        return task in (answers or {}).get(worker, {})
