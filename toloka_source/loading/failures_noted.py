"""A load that fails, in the table of loads."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic

import dlt
from dlt.common.destination.exceptions import DestinationException
from dlt.pipeline.exceptions import PipelineStepFailed

from toloka_source.bi.views import publish_failure
from toloka_source.destinations.failures import translated
from toloka_source.destinations.secrets import without_secrets
from toloka_source.errors import PermissionDeniedError, TolokaError
from toloka_source.loading.beside_readers import BesideReaders


@contextmanager
def failures_noted(
    pipeline: dlt.Pipeline, resources: Sequence[str], started: float, beside: BesideReaders
) -> Iterator[None]:
    """Note that what is loaded in here failed, if it does, and why.

    Args:
        pipeline: What is run.
        resources: What it is to load.
        started: When it began, by the clock that knows no date.
        beside: How it writes.
    """
    try:
        yield
    except (PipelineStepFailed, DestinationException, OSError, PermissionDeniedError) as error:
        cause = translated(without_secrets(error))
        with suppress(TolokaError, DestinationException):  # the user reads why the load failed
            with beside.writing():
                publish_failure(pipeline, resources, cause, monotonic() - started)
            beside.publish()
        raise
