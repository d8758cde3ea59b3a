"""What goes wrong: the line that the user gets, and the exit code."""

import sys
import traceback
from argparse import Namespace

from toloka_source.errors import ConfigurationError, TolokaError


def fail(text: str, code: int) -> int:
    """Say in one line on stderr what went wrong; return the exit code."""
    print(f"error: {_hidden(' '.join(text.split()))}", file=sys.stderr)
    return code


def failed(error: Exception, options: Namespace) -> int:
    """Say what an error says, after its traceback if that is wanted; return the exit code."""
    if getattr(options, "verbose", False):
        trace(error)
    return fail(_in_words(error), 2 if _is_wrong_usage(error) else 1)


def trace(error: Exception) -> None:
    """Print an error's traceback on stderr."""
    print(_hidden("".join(traceback.format_exception(error))), file=sys.stderr)


def _hidden(text: str) -> str:
    if "dlt" not in sys.modules:
        return text  # nothing has been configured yet
    from toloka_source.destinations.secrets import hide

    return hide(text)


def _is_wrong_usage(error: Exception) -> bool:
    """Tell whether it was found before any request."""
    from dlt.common.configuration.exceptions import ConfigurationException
    from dlt.common.destination.exceptions import UnknownDestinationModule
    from dlt.common.exceptions import MissingDependencyException

    found = (ConfigurationError, ConfigurationException, UnknownDestinationModule, MissingDependencyException)
    return isinstance(error, found)


def _in_words(error: Exception) -> str:
    from importlib.metadata import metadata

    from dlt.common.exceptions import MissingDependencyException

    if isinstance(error, TolokaError):
        return str(error)
    if isinstance(error, MissingDependencyException):
        for extra in metadata("toloka-source").get_all("Provides-Extra", []):
            if f"dlt[{extra}]" in error.dependencies:
                return f"{error.caller} needs the extra {extra}: pip install 'toloka-source[{extra}]'"
    return f"{type(error).__name__}: {error}"
