"""What an interrupted run left behind: loaded if it can be, dropped if it is this source's and can't.

The working folder can be shared with other sources, whose packages, tables and state are never touched.
"""

import logging
from collections.abc import Mapping
from typing import Any

import dlt
from dlt.common.schema import Schema
from dlt.common.schema.typing import TTableSchema
from dlt.pipeline.exceptions import PipelineStepFailed

from toloka_source import _dlt
from toloka_source.bi.views import views_emptied
from toloka_source.destinations.failures import is_destination_down, last_line
from toloka_source.destinations.place import place_of
from toloka_source.loading import unpublished

log = logging.getLogger(__name__)

PLACE = "toloka_place"
"""Where the working folder's own state says what the packages in it are for."""

NOWHERE = "nowhere"
"""Stands for the place while a first load is on its way."""

LAST_LOADED = "toloka_last_loaded"
"""Where it says which packages the last run loaded; dlt keeps all there ever were."""

_EXTRACTED, _NORMALIZED, _LOADED = "normalize/extracted", "load/normalized", "load/loaded"
"""dlt's folders for the packages of each step."""


def recover(pipeline: dlt.Pipeline, schema: str) -> None:
    """Load what is pending; drop what is of this schema and can't be loaded here: it is read again."""
    _dlt.mend_folders(pipeline)
    unpublished.put_back_killed(pipeline)
    place = place_of(pipeline).digest
    has_moved = noted(pipeline, PLACE, place) != place
    for load_id, folders in _pending(pipeline, "").items():
        _dlt.delete_package(pipeline, load_id, *folders)  # the rest of one that was loaded, or had nothing in it
    for load_id, folders in _pending(pipeline, schema).items():
        if len(folders) > 1 and not has_moved:
            # killed between two steps; dlt would normalize it once more, and fail for ever
            _dlt.delete_package(pipeline, load_id, _EXTRACTED)
        elif has_moved or (folders == [_EXTRACTED] and not _is_schema_stored(pipeline, load_id)):
            # killed before the schema was stored, dlt would bring it into shape by an older one, and lose columns
            log.warning("dropped the package %s of an interrupted run", load_id)
            _dlt.delete_package(pipeline, load_id, *folders)
            continue
        _dlt.mend_package(pipeline, load_id, folders[-1])
    if has_moved:
        _dlt.set_state(pipeline, schema, None)
    for load_id in noted(pipeline, LAST_LOADED, []):
        _dlt.delete_package(pipeline, load_id, _LOADED)
    note(pipeline, {PLACE: place, LAST_LOADED: []})
    if pipeline.has_pending_data:
        log.warning("loading the packages %s of an interrupted run", ", ".join(_pending(pipeline)))
        try:
            with views_emptied(pipeline):
                pipeline.normalize()
                pipeline.load()
        except PipelineStepFailed as error:
            if is_destination_down(error) or not drop_pending(pipeline, schema):
                raise
            log.warning("the packages can't be loaded, and their data is read again: %s", last_line(error))


def note(pipeline: dlt.Pipeline, values: Mapping[str, object]) -> None:
    """Write into the working folder's own state, if that changes it."""
    for key, value in values.items():
        if noted(pipeline, key, None) != value:
            pipeline.set_local_state_val(key, value)


def noted(pipeline: dlt.Pipeline, key: str, default: Any) -> Any:  # noqa: ANN401 - whatever was noted
    """Return what the working folder's own state holds, or the default."""
    try:
        return pipeline.get_local_state_val(key)
    except KeyError:
        return default


def _pending(pipeline: dlt.Pipeline, schema: str | None = None) -> dict[str, list[str]]:
    """Return the pending packages, of one schema or of all, and the folders that each is in, in the order of steps."""
    found: dict[str, list[str]] = {load_id: [_EXTRACTED] for load_id in pipeline.list_extracted_load_packages()}
    for load_id in pipeline.list_normalized_load_packages():
        found.setdefault(load_id, []).append(_NORMALIZED)
    return {
        load_id: folders
        for load_id, folders in sorted(found.items())
        if schema is None or _dlt.package_schema(pipeline, load_id, folders[-1])["name"] == schema
    }


def _is_schema_stored(pipeline: dlt.Pipeline, load_id: str) -> bool:
    """Tell whether the pipeline's schema has all that the one of an extracted package has."""
    schema = Schema.from_dict(dict(_dlt.package_schema(pipeline, load_id, _EXTRACTED)), validate_schema=False)
    stored = pipeline.schemas[schema.name].tables if schema.name in pipeline.schemas else {}
    return all(
        name in stored
        and table["columns"].keys() <= stored[name]["columns"].keys()
        and _hints(table).items() <= _hints(stored[name]).items()
        for name, table in schema.tables.items()
    )


def _hints(table: TTableSchema) -> dict[str, str]:
    return {name: repr(value) for name, value in table.items() if name not in ("columns", "x-normalizer")}


def take_state(pipeline: dlt.Pipeline, source: str) -> None:
    """Go on from the state that the destination has, where it keeps one."""
    if pipeline.dev_mode or not pipeline.config.restore_from_destination:
        return
    stored = _dlt.stored_state(pipeline)
    if stored is not None:
        _dlt.set_state(pipeline, source, stored.get(source))
        if source not in pipeline.schemas:
            pipeline.sync_destination()


def drop_pending(pipeline: dlt.Pipeline, schema: str) -> bool:
    """Drop all that is pending, and the state that it was to bring, if all of it is of this schema; tell whether."""
    pending = _pending(pipeline, schema)
    if pending.keys() != _pending(pipeline).keys():
        return False
    for load_id, folders in pending.items():
        _dlt.delete_package(pipeline, load_id, *folders)
    _dlt.set_state(pipeline, schema, None)
    _dlt.forget_extracted_state(pipeline)
    return True
