"""The fixtures of the tests of a guest in dlt: two ways to run a pipeline, and an account."""

import pytest

from tests.conftest import fill
from tests.guest.features import Do, run
from toloka_source import load
from toloka_source.emulator import Account, Emulator


# nearly all other tests `load`
@pytest.fixture(params=[pytest.param(run, id="run"), pytest.param(load, id="load", marks=pytest.mark.slow)])
def do(request: pytest.FixtureRequest) -> Do:
    """Return each way to run a pipeline in turn."""
    made: Do = request.param
    return made


@pytest.fixture
def account(api: Emulator) -> Account:
    """Return the served account, with some history."""
    fill(api.account, projects=60, trainings=45)
    return api.account
