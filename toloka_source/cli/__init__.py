"""The command `toloka-source`: a Toloka account in a warehouse, without a line of Python.

    toloka-source demo       a local Toloka, loaded three times; no account needed
    toloka-source load       what is new in your account
    toloka-source backfill   a range of time in windows, many at once
    toloka-source emulator   the local Toloka alone

Exit code: 0 done, 1 failed, 2 wrong usage or configuration (no request was made), 130 Ctrl-C, 143 SIGTERM.

What takes time to import is imported by the subcommand that needs it: `--help` is there at once.
"""

import atexit
import gc
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from toloka_source.cli.failure import failed
from toloka_source.cli.interruption import Interruption
from toloka_source.cli.next_step import command_words, script_words
from toloka_source.cli.options import command_parser, log_format, script_parser
from toloka_source.log_lines import written_as
from toloka_source.memory import share_freed_memory

_FOR_OWNER = 0o077
"""What is loaded holds texts that only the requester sees."""

_KEPT = {
    "demo": "; the next one begins anew",
    "load": "; the next run goes on from the last complete one",
    "backfill": "; the windows above are loaded",
}
"""What an interrupted subcommand leaves."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    Args:
        arguments: The words after the command's name; those of this process unless given.
    """
    parser = command_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    return _run(options, command_words())


def script(file: str, arguments: Sequence[str] | None = None) -> int:
    """Run as this script, which loads unless told otherwise; return the exit code.

    Args:
        file: The script.
        arguments: The words after its name; those of this process unless given.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_backfill = words[:1] == ["backfill"]
    parser = script_parser(Path(file).name, is_backfill=is_backfill)
    return _run(parser.parse_args(words[is_backfill:]), script_words(file))


def _run(options: Namespace, called_as: Sequence[str]) -> int:
    atexit.register(gc.freeze)  # else the interpreter looks for garbage among all that dlt imports, for 0.2 s
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")  # before dlt is imported
    options.called_as = called_as
    if options.command == "emulator":
        return _imported("emulator")(options)  # stops by itself
    share_freed_memory()
    is_quiet = options.progress == "off" and options.log_format == "auto"
    level = logging.WARNING if is_quiet or log_format(options).kind == "plain" else logging.INFO
    interruption = Interruption(f"interrupted{_KEPT[options.command]}")
    try:
        with written_as(log_format(options), level), interruption, _umask(options):
            try:
                code = _imported(options.command)(options)
            except KeyboardInterrupt:
                return interruption.end()
            except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one line
                return interruption.end() if interruption.has_come else failed(error, options)
            return interruption.end() if interruption.has_come else code
    except KeyboardInterrupt:  # one that comes as all is done
        return interruption.end()


@contextmanager
def _umask(options: Namespace) -> Iterator[None]:
    """Let new files and folders be for their owner alone, unless told otherwise."""
    before = os.umask(_FOR_OWNER)
    wanted: int | None = getattr(options, "umask", None)
    os.umask(before | _FOR_OWNER if wanted is None else wanted)
    try:
        yield
    finally:
        os.umask(before)


def _imported(command: str) -> Callable[[Namespace], int]:
    """Import what a subcommand needs, and leave it out of the search for garbage: that is a tenth of the time."""
    gc.disable()
    try:
        return _job(command)
    finally:
        gc.freeze()
        gc.enable()


def _job(command: str) -> Callable[[Namespace], int]:
    if command == "emulator":
        from toloka_source.emulator.__main__ import serve

        return serve
    if command == "demo":
        from toloka_source.cli.run_demo import run_demo

        return run_demo
    if command == "backfill":
        from toloka_source.cli.run_backfill import run_backfill

        return run_backfill
    from toloka_source.cli.run_load import run_load

    return run_load
