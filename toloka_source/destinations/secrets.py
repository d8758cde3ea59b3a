"""The destination's credentials: checked before a run, and hidden in whatever is said of it.

What a driver says of an address that it can't read has the address in it, password and all.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import dlt
from dlt.common.configuration.exceptions import InvalidNativeValue

from toloka_source._dlt import DUCKDB, POSTGRES
from toloka_source.destinations.failures import causes
from toloka_source.errors import ConfigurationError

_Error = TypeVar("_Error", bound=BaseException)

_TOY = 4
"""A password that is shorter may be part of any word, and is no secret."""

_ADDRESS = re.compile(r"""(?P<scheme>\w:/{1,3})[^\s"'<>`]*@""")
_PASSWORD = re.compile(r"""(?P<name>password["']?\s*[=:]\s*["']?)(?!None\b)[^\s"'&,;}]+""", re.IGNORECASE)
_IS_SECRET = re.compile(r"(credentials|password|secret\w*|token|key|passphrase)$", re.IGNORECASE)

_noted: set[str] = set()
"""What this process has seen of passwords, as loggers keep what they mask."""


def check_credentials(pipeline: dlt.Pipeline) -> None:
    """Find credentials that can't be read, which the driver would quote; nothing is connected to.

    Raises:
        ConfigurationError: They can't; says what to write, and nothing of them.
    """
    _note_configured(pipeline)
    name = pipeline.destination.destination_name
    field = f"destination.{name}.credentials"
    is_postgres = pipeline.destination.destination_type == POSTGRES
    wanted = "postgresql://<user>:<password>@<host>:5432/<database>" if is_postgres else "what dlt's documentation says"
    try:
        credentials: Any = pipeline.destination_client().config.credentials
    except InvalidNativeValue:
        raise ConfigurationError(field, "***", f"can't be read; write {wanted}") from None
    _note(str(getattr(credentials, "password", None) or ""))
    if pipeline.destination.destination_type == DUCKDB:
        _noted.difference_update({str(credentials.database), Path(str(credentials.database)).name})  # no secret
    if not is_postgres:
        return
    if credentials.drivername not in ("postgresql", "postgres"):
        raise ConfigurationError(field, "***", f"is of {credentials.drivername}; write {wanted}")
    if "@" in f"{credentials.host}{credentials.database}":
        remedy = "has an @ too many; in a password write %40 for @, %2F for / and %3A for a colon"
        raise ConfigurationError(field, "***", remedy)


def hide(text: str) -> str:
    """Return a text without passwords: what stands in an address before its @, and what is configured."""
    for secret in sorted(_noted, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return _PASSWORD.sub(r"\g<name>***", _ADDRESS.sub(r"\g<scheme>***@", text))


def without_secrets(error: _Error) -> _Error:
    """Hide passwords in an error and in what caused it: tracebacks show all of them."""
    for cause in causes(error):
        cause.args = tuple(hide(arg) if isinstance(arg, str) else arg for arg in cause.args)
    return error


def _note_configured(pipeline: dlt.Pipeline) -> None:
    """Note what is configured, also where it can't be read."""
    for name, value in os.environ.items():
        if "CREDENTIALS" in name and _IS_SECRET.search(name):
            _note(value)
    given = pipeline.destination.config_params
    for found in (dlt.secrets.get("destination"), dlt.secrets.get(pipeline.pipeline_name), given):
        for text in _secrets_in(found):
            _note(text)


def _secrets_in(settings: object) -> Iterator[str]:
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            if isinstance(value, str) and _IS_SECRET.search(name):
                yield value
            else:
                yield from _secrets_in(value)


def _note(text: str) -> None:
    """Note credentials, the password in them, and what a driver takes for a part of it."""
    before, at, _ = text.rpartition("@")
    password = re.sub(r"^\w*:/+", "", before).partition(":")[2] if at else ""
    if found := _PASSWORD.search(text):
        password = found[0].removeprefix(found["name"])
    parts = {text, password, unquote(password), *re.split(r"[@:/#?%\s]", password)}
    _noted.update(part for part in parts if len(part) >= _TOY)
