"""A resource that fails, or is given up, ends those that wait, and the error is the cause."""

import time
from collections.abc import Callable, Mapping

import pyarrow as pa
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from tests.amounts import each_once
from tests.conftest import Warehouse
from tests.guest.features import Do
from toloka_source import errors, load
from toloka_source.destinations.failures import causes
from toloka_source.emulator import Fault

pytest_plugins = ["tests.guest.fixtures"]

FAULTS: Mapping[str, tuple[Callable[[], Fault], type[errors.TolokaError]]] = {
    "400": (lambda: Fault.status(400), errors.RequestError),
    "401": (lambda: Fault.status(401), errors.AuthenticationError),
    "429, the day's quota": (lambda: Fault.status(429, {"interval": "DAY"}), errors.QuotaError),
    "503, Retry-After 400": (lambda: Fault.status(503, retry_after=400), errors.ServerError),
    "no page": (lambda: Fault.replace_page(lambda page: page["items"]), errors.ProtocolError),
}
WAITS = {
    "429, Retry-After 25": lambda: Fault.status(429, retry_after=25),
    "no answer": lambda: Fault.hang(25),
    "a body that drips": lambda: Fault.drip(0.5, 1_000),
}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(("name", "wait", "workers"), each_once(FAULTS, WAITS, [1, 8]))
def test_a_list_that_fails_ends_the_one_that_waits(
    warehouse: Warehouse,
    do: Do,
    caplog: pytest.LogCaptureFixture,
    name: str,
    wait: str,
    workers: int,
) -> None:
    fault, error = FAULTS[name]
    warehouse.api.fail(WAITS[wait](), on="projects", times=None)
    warehouse.api.fail(fault(), on="trainings", times=None)
    started = time.monotonic()
    with pytest.raises((PipelineStepFailed, errors.TolokaError)) as caught:
        do(warehouse.pipeline, warehouse.source(max_concurrency=workers))
    assert time.monotonic() - started < 15
    chain = list(causes(caught.value))
    assert any(isinstance(cause, error) for cause in chain)
    assert do is not load or type(caught.value) is error
    assert not any("already executing" in str(cause) for cause in chain)
    assert "thread pool" not in caplog.text


@pytest.mark.usefixtures("account")
def test_what_the_user_does_ends_the_waits_too(warehouse: Warehouse, do: Do) -> None:
    warehouse.api.fail(Fault.status(429, retry_after=25), on="projects")

    def break_off(_table: pa.Table) -> pa.Table:
        raise KeyError("mine")

    source = warehouse.source()
    source.trainings.add_map(break_off)
    started = time.monotonic()
    with pytest.raises(PipelineStepFailed, match="mine"):
        do(warehouse.pipeline, source)
    assert time.monotonic() - started < 15
