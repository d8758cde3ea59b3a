"""What the user can type next, as it works in the shell from which this was run."""

import os
import shlex
import shutil
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlt.common.configuration.specs import ConnectionStringCredentials

_TAKEN_OVER = (
    *("by", "workers", "scheduler", "pipeline", "destination", "dataset", "environment"),
    *("report", "output", "lock_timeout"),
)
"""The options of a back-fill that loading a part of it again needs, where they aren't the default."""


def command_words() -> list[str]:
    """Return the words that call this command."""
    if Path(sys.argv[0]).name == "__main__.py":
        return [*_python(), "-m", "toloka_source"]
    return _call("toloka-source")


def script_words(file: str) -> list[str]:
    """Return the words that call a script of the repository."""
    return ["uv", "run", os.path.relpath(file)]


def load_again(options: Namespace, defaults: ArgumentParser, start: str, end: str) -> str:
    """Return the command that loads a part of a back-fill again.

    Args:
        options: The back-fill's.
        defaults: Knows what needn't be said.
        start: Where the part begins.
        end: Where it ends.
    """
    words = [*options.called_as, "backfill", "--start-date", start, "--end-date", end]
    for name in _TAKEN_OVER:
        value = getattr(options, name)
        if value != defaults.get_default(name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    if options.umask is not None:
        words += ["--umask", f"{options.umask:03o}"]
    words += ["--strict"] * options.strict + ["--no-publish"] * (not options.publish)
    if options.resources:
        words += ["--resources", *options.resources]
    return shlex.join(words)


def look_into(file: str, table: str, called_as: Sequence[str]) -> str:
    """Return a command that asks a DuckDB file how many rows of each status a table has.

    Args:
        file: The file.
        table: The table, which has a status.
        called_as: The words that call this command.
    """
    query = _query(table)
    uv = ["uv", "run"] if called_as[0] == "uv" else []
    if shutil.which("duckdb", path=str(Path(sys.executable).parent) if uv else None):
        return f'{shlex.join([*uv, "duckdb", "-readonly", file])} -c "{query}"'
    python = shlex.join([*uv, "python"] if uv else _python())
    return f'{python} -c "import duckdb; duckdb.connect({file!r}, read_only=True).sql({query!r}).show()"'


def look_into_server(credentials: "ConnectionStringCredentials", table: str) -> str | None:
    """Return a command that asks PostgreSQL the same; None without its own client, which knows or asks the password.

    Args:
        credentials: Where the server is, and who asks.
        table: The table, which has a status.
    """
    if not shutil.which("psql"):
        return None
    options = {"-h": credentials.host, "-p": credentials.port, "-U": credentials.username, "-d": credentials.database}
    words = [word for option, value in options.items() if value for word in (option, str(value))]
    return f'{shlex.join(["psql", *words])} -c "{_query(table)}"'


def look_with_dlt(pipeline: str, called_as: Sequence[str]) -> str:
    """Return a command that shows what dlt knows of a pipeline."""
    return shlex.join([*(["uv", "run", "dlt"] if called_as[0] == "uv" else _call("dlt")), "pipeline", pipeline, "info"])


def _query(table: str) -> str:
    return f"SELECT status, count(*) FROM {table} GROUP BY status"  # noqa: S608 - shown


def _python() -> list[str]:
    return _call(Path(sys.executable).name)


def _call(program: str) -> list[str]:
    """Return the words that call a program of this environment: its name, where the user's shell finds it by that."""
    if "UV_RUN_RECURSION_DEPTH" in os.environ:  # by `uv run`
        return ["uv", "run", program]
    own = Path(sys.executable).with_name(program)
    found = Path(shutil.which(program) or "")
    is_found = own in (found, found.readlink() if found.is_symlink() else found)
    is_uvx = "UV" in os.environ  # it has given us a path that the shell doesn't have
    return [str(own)] if own.exists() and (is_uvx or not is_found) else [program]
