"""Settings that are none: dlt never asks for a misspelled one, so its user believes in a limit that isn't there."""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from inspect import signature
from itertools import product
from typing import Any

import dlt
from dlt.common.configuration.providers import ConfigProvider

from toloka_source.catalog import ENDPOINTS
from toloka_source.errors import one_line
from toloka_source.source import toloka

log = logging.getLogger(__name__)

SETTINGS = tuple(signature(toloka).parameters)
"""Those of the source."""

SECTIONS = ("cursor", "data_writer", "extract", "schema", "toloka", "toloka_backfill", *ENDPOINTS)
"""What else dlt asks for in the section of the source; what is in these is dlt's."""

_FILES = ("config.toml", "secrets.toml")
"""The names of dlt's providers that read files, the project's and the global one."""

_OURS = ("sources", "toloka")

_VARIABLE = re.compile(r"SOURCES(__?)([A-Z]+)\1(?!_)(.+)", re.IGNORECASE)
"""A setting in the environment, also one with single underscores, which dlt never asks for."""

_WITHOUT_EFFECT = "is no setting, and without effect"


def warn_of_unknown_settings(pipeline_name: str) -> None:
    """Warn of each setting in files and environment that dlt never asks for.

    Args:
        pipeline_name: dlt asks for settings in a section of this name too, before all others.
    """
    files = [provider for provider in dlt.config.config_providers if provider.name in _FILES]
    for provider, pipeline in product(files, (None, pipeline_name)):
        for warning in _in_file(provider, pipeline):
            log.warning(one_line(warning))
    for warning in _in_environment(pipeline_name):
        log.warning(one_line(warning))


def _in_file(provider: ConfigProvider, pipeline: str | None) -> Iterator[str]:
    before = f"{pipeline}." if pipeline else ""
    for name in _table(provider, pipeline, "sources"):
        if _is_meant(name):
            file = provider.get_value_location(name, pipeline, "sources")
            yield f"[{before}sources.{name}] in {file} {_WITHOUT_EFFECT}: did you mean [{before}sources.toloka]?"
    for name in _table(provider, pipeline, *_OURS):
        if name not in (*SETTINGS, *SECTIONS):
            file = provider.get_value_location(name, pipeline, *_OURS)
            yield f"{name} under [{before}sources.toloka] in {file} {_WITHOUT_EFFECT}{_advice(name)}"
    for resource, name in ((one, name) for one in ENDPOINTS for name in _table(provider, pipeline, *_OURS, one)):
        if name != "cursor":
            file = provider.get_value_location(name, pipeline, *_OURS, resource)
            section, meant = (f"[{before}sources.toloka.{part}{resource}]" for part in ("", "filters."))
            yield f"{name} under {section} in {file} {_WITHOUT_EFFECT}: did you mean {meant}?"


def _table(provider: ConfigProvider, pipeline: str | None, *sections: str) -> Mapping[str, Any]:
    value, _ = provider.get_value(sections[-1], dict, pipeline, *sections[:-1])
    return value if isinstance(value, Mapping) else {}


def _in_environment(pipeline_name: str) -> Iterator[str]:
    prefix = f"{pipeline_name}__".upper()
    for variable in sorted(os.environ):
        before = prefix if variable.upper().startswith(prefix) else ""
        parts = _VARIABLE.fullmatch(variable[len(before) :])
        if parts is None or not (parts[2].lower() == "toloka" or _is_meant(parts[2])):
            continue
        name, *below = parts[3].lower().split("__")
        is_whole = variable == f"{before}SOURCES__TOLOKA__{parts[3].upper()}"
        if not is_whole or name not in (SECTIONS if below else SETTINGS):
            yield f"{variable} {_WITHOUT_EFFECT}{_advice(name, f'{before}SOURCES__TOLOKA__')}"


def _is_meant(section: str) -> bool:
    """Tell whether a section is ours, misspelled; one that has our name in it may be that of a clone of the source."""
    return "toloka" not in section and bool(get_close_matches(section.lower(), ["toloka"], cutoff=0.75))


def _advice(name: str, section: str = "") -> str:
    """Return words that say which setting may be meant."""
    for near in get_close_matches(name.lower(), SETTINGS, n=1):
        return f": did you mean {section + near.upper() if section else near}?"
    return f"; the settings are {', '.join(SETTINGS)}"
