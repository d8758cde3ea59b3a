"""Lists that the token may not read: `load` goes on with the others, and says so."""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from toloka_source.errors import PermissionDeniedError

log = logging.getLogger(__name__)

_NOTED: ContextVar[dict[str, PermissionDeniedError] | None] = ContextVar("noted", default=None)


@contextmanager
def others_loaded(resources: Collection[str]) -> Iterator[None]:
    """Have runs go on with the other resources when the token may not read the list of one.

    Args:
        resources: All that are run.

    Raises:
        PermissionDeniedError: It may read none of them.
    """
    noted: dict[str, PermissionDeniedError] = {}
    before = _NOTED.set(noted)
    try:
        yield
    finally:
        _NOTED.reset(before)
    if noted and noted.keys() >= set(resources):
        raise next(iter(noted.values()))
    for resource, error in noted.items():
        log.warning("%s: nothing is loaded of it: %s", resource, error)


def do_others_go_on(resource: str, error: PermissionDeniedError) -> bool:
    """Tell whether the other resources are loaded without this one, and note why."""
    noted = _NOTED.get()
    if noted is None:
        return False
    noted[resource] = error
    return True
