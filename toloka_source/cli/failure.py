"""What an error means for the command: the line that the user gets, and the exit code."""

import traceback
from argparse import Namespace
from importlib.metadata import metadata

from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination.exceptions import UnknownDestinationModule
from dlt.common.exceptions import MissingDependencyException

from toloka_source.cli.output import fail
from toloka_source.errors import ConfigurationError, TolokaError

_WRONG_USAGE = (ConfigurationError, ConfigurationException, UnknownDestinationModule, MissingDependencyException)
"""What is found before any request."""


def failed(error: Exception, options: Namespace) -> int:
    """Say what went wrong in one line, after the traceback if that is wanted; return the exit code."""
    if options.verbose:
        traceback.print_exception(error)
    return fail(_in_words(error), 2 if isinstance(error, _WRONG_USAGE) else 1)


def _in_words(error: Exception) -> str:
    if isinstance(error, TolokaError):
        return str(error)
    if isinstance(error, MissingDependencyException):
        ours = metadata("toloka-source").get_all("Provides-Extra", [])
        for extra in ours:
            if f"dlt[{extra}]" in error.dependencies:
                return f"{error.caller} needs the extra {extra}: pip install 'toloka-source[{extra}]'"
    return f"{type(error).__name__}: {error}"
