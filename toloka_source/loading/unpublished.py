"""Packages as they were before they were loaded into the copy of a file, until the copy has taken the file's place.

For dlt a package is loaded when the copy has it. Should the copy be lost, so would be its rows: then the package is put
back, and is loaded once more.
"""

import os
import shutil
from collections.abc import Collection
from pathlib import Path

import dlt

from toloka_source import _dlt, _dlt_duckdb

_FOLDER = "toloka-unpublished"

_NORMALIZED, _LOADED = "load/normalized", "load/loaded"
"""dlt's folders for the packages that are to be loaded, and for those that were."""


def keep(pipeline: dlt.Pipeline) -> None:
    """Keep the packages that are about to be loaded."""
    part = _part(pipeline)
    shutil.rmtree(part, ignore_errors=True)
    for load_id in pipeline.list_normalized_load_packages():
        kept = _kept(pipeline) / load_id
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            shutil.copytree(Path(pipeline.working_dir, _NORMALIZED, load_id), part, copy_function=_link)
            part.rename(kept)


def forget(pipeline: dlt.Pipeline) -> None:
    """Forget them: what they bring is where it belongs."""
    _dlt.delete_package(pipeline, _FOLDER, ".")


def put_back_killed(pipeline: dlt.Pipeline) -> None:
    """Let dlt load those again that a killed run has left, unless the destination has them: then all was done."""
    shutil.rmtree(_part(pipeline), ignore_errors=True)
    if _kept(pipeline).exists():
        _put_back(pipeline, _dlt_duckdb.loaded_packages(pipeline))


def put_back_failed(pipeline: dlt.Pipeline) -> None:
    """Let dlt load those again whose load has failed, unless dlt has given them up."""
    kept = {path.name for path in _kept(pipeline).glob("*")}
    pending, loaded = pipeline.list_normalized_load_packages(), pipeline.list_completed_load_packages()
    given_up = {
        load_id
        for load_id in kept.difference(pending)
        if load_id not in loaded or pipeline.get_load_package_info(load_id).state == "aborted"
    }
    _put_back(pipeline, given_up)


def _put_back(pipeline: dlt.Pipeline, done: Collection[str]) -> None:
    for kept in sorted(_kept(pipeline).glob("*")):
        if kept.name not in done:
            _dlt.delete_package(pipeline, kept.name, _NORMALIZED, _LOADED)
            kept.rename(Path(pipeline.working_dir, _NORMALIZED, kept.name))
    forget(pipeline)


def _kept(pipeline: dlt.Pipeline) -> Path:
    return Path(pipeline.working_dir, _FOLDER)


def _part(pipeline: dlt.Pipeline) -> Path:
    return Path(pipeline.working_dir, f"{_FOLDER}.part")


def _link(source: str, target: str) -> None:
    """Link a job's file, which dlt moves and deletes but never changes; copy all others."""
    if Path(source).parent.name.endswith("_jobs"):
        try:
            os.link(source, target)
        except OSError:
            pass  # a file system without links
        else:
            return
    shutil.copy2(source, target)
