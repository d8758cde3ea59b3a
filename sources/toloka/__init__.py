"""Toloka's projects and trainings, one row each, kept up to date."""

from typing import Any

import dlt
from dlt.extract import DltSource

from toloka_source import toloka as installed


@dlt.source(name="toloka", section="toloka")
def toloka(token: dlt.TSecretStrValue | None = dlt.secrets.value, **arguments: Any) -> DltSource:  # noqa: ANN401
    """Build the source of the package `toloka_source`, which takes these arguments and describes them."""
    return installed(token, **arguments)
