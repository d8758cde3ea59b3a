"""What goes wrong: the line that the user gets, and the exit code."""

import sys
import traceback
from argparse import Namespace
from typing import TYPE_CHECKING

from toloka_source.errors import ConfigurationError, TolokaError, shortened
from toloka_source.log_lines import current, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlt.common.configuration.exceptions import FieldLookupTraces

_LONGEST_VALUE = 100

_KINDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "dict": "a table, or JSON of one"}
"""What a setting has to be, by the name of its type."""


def fail(text: str, code: int) -> int:
    """Say in one line on stderr what went wrong; return the exit code."""
    say("error", _hidden(text))
    return code


def failed(error: Exception, options: Namespace) -> int:
    """Say what an error says, after its traceback if that is wanted; return the exit code."""
    if getattr(options, "verbose", False):
        trace(error)
    return fail(_in_words(error), 2 if _is_wrong_usage(error) else 1)


def trace(error: Exception) -> None:
    """Print an error's traceback on stderr."""
    text = _hidden("".join(traceback.format_exception(error)))
    print(current().line("debug", text) if current().kind == "json" else text, file=sys.stderr)


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
    from dlt.common.configuration.exceptions import ConfigurationException
    from dlt.pipeline.exceptions import PipelineStepFailed

    if isinstance(error, TolokaError):
        return str(error)
    if isinstance(error, PipelineStepFailed):
        from toloka_source.destinations.failures import last_line

        return shortened(f"the step {error.step!r} of dlt failed, --verbose shows more: {last_line(error)}")
    of_configuration = _in_words_of_a_setting(error) if isinstance(error, ConfigurationException) else ""
    return of_configuration or _in_words_of_a_name(error) or f"{type(error).__name__}: {error}"


def _in_words_of_a_name(error: Exception) -> str:
    """Say which destination there isn't, or which extra; empty if it isn't that."""
    from importlib.metadata import metadata

    from dlt.common.destination.exceptions import UnknownDestinationModule
    from dlt.common.exceptions import MissingDependencyException

    if isinstance(error, UnknownDestinationModule):
        return f"destination = {error.ref!r}: unknown; use duckdb, postgres or another of dlt's"
    if isinstance(error, MissingDependencyException):
        for extra in metadata("toloka-source").get_all("Provides-Extra", []):
            if f"dlt[{extra}]" in error.dependencies:
                return f"{error.caller} needs the extra {extra}: pip install 'toloka-source[{extra}]'"
    return ""


def _in_words_of_a_setting(error: Exception) -> str:
    """Say which setting has a wrong type or is missing, which dlt does in many lines; empty if it isn't that."""
    from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigValueCannotBeCoercedException

    if isinstance(error, ConfigValueCannotBeCoercedException):
        wanted = str(getattr(error.hint, "__name__", error.hint))
        value = shortened(repr(error.field_value), _LONGEST_VALUE)
        return f"{error.field_name} = {value}: must be {_KINDS.get(wanted, wanted)}"
    if not isinstance(error, ConfigFieldMissingException):
        return ""
    tried = [(field, key) for field, key in _tried(error.traces) if key.startswith(("DESTINATION__", "SOURCES__"))]
    missing = ", ".join(dict.fromkeys(field for field, _ in tried or _tried(error.traces)))
    first = tried[0][1] if tried else ""
    whole = f"{first.partition('__CREDENTIALS__')[0]}__CREDENTIALS" if "__CREDENTIALS__" in first else first
    return f"{missing}: not configured; set {whole or 'them'}, or the same in .dlt/secrets.toml"


def _tried(traces: "FieldLookupTraces") -> "Iterator[tuple[str, str]]":
    """Yield the fields that are missing, and what dlt has asked for."""
    for field, found in traces.items():
        for trace in found:
            below = getattr(trace, "traces", None)
            yield from _tried(below) if below else [(field, str(getattr(trace, "key", "")))]
