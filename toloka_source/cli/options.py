"""The options of the command and of the script; nothing here takes time to import."""

import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Collection, Sequence

from rich_argparse import RichHelpFormatter

from toloka_source.backfills.windows import BY
from toloka_source.emulator.__main__ import emulator_options
from toloka_source.log_lines import LogFormat

PROGRESS = ("auto", "tqdm", "enlighten", "alive_progress", "log", "off")

RESOURCES = ("projects", "trainings")
"""What is loaded unless other lists are asked for, for `--help`: `ENDPOINTS` takes pyarrow to import."""

_LOAD = "load what is new in your account"
_DEMO = "load a local Toloka, let a day pass, load again; no token needed"
_BACKFILL = "load a range of time in windows, many at once; the cursor stays where it is"
_PIPELINE = "the name of the working folder, of its lock and of DuckDB's file: another one for another account"
_EMULATOR = "serve the Toloka API on this machine"


def command_parser() -> ArgumentParser:
    """Return the parser of `toloka-source`; `command` becomes the subcommand, or None."""
    parser = ArgumentParser(
        prog="toloka-source",
        description="Toloka's projects and trainings in a warehouse.",
        epilog="The options of each: %(prog)s COMMAND --help",
        formatter_class=RichHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and end")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, does, options in (
        ("demo", _DEMO, _load_options()),
        ("load", _LOAD, _load_options()),
        ("backfill", _BACKFILL, backfill_options()),
        ("emulator", _EMULATOR, emulator_options()),
    ):
        commands.add_parser(
            name, help=does, description=_sentence(does), parents=[options], formatter_class=RichHelpFormatter
        )
    return parser


def script_parser(name: str, *, is_backfill: bool) -> ArgumentParser:
    """Return the parser of a script of this name: `--demo` is an option there, and without a word it loads."""
    if is_backfill:
        parser = ArgumentParser(
            prog=f"{name} backfill",
            description=_sentence(_BACKFILL),
            parents=[backfill_options()],
            formatter_class=RichHelpFormatter,
        )
        parser.set_defaults(command="backfill")
        return parser
    parser = ArgumentParser(
        prog=name,
        description=_sentence(_LOAD),
        epilog="To load a range of time in windows, many at once: %(prog)s backfill --help",
        parents=[_load_options()],
        formatter_class=RichHelpFormatter,
    )
    parser.add_argument("--demo", dest="command", action="store_const", const="demo", default="load", help=_DEMO)
    return parser


def _load_options() -> ArgumentParser:
    parser = _common_options()
    add = parser.add_argument
    add("--start-date", metavar="DATE", help="load nothing that is older, e.g. 2026-01-31 or 2026-01-31T08:00:00")
    add("--end-date", metavar="DATE", help="back-fill up to this date; the cursor stays where it is")
    add("--full", action="store_true", help="read everything again now, to find edits")
    add("--history", action="store_true", help="keep each version of each object from now on")
    add("--allow-shrink", action="store_true", help="load although most objects are missing, or it is another account")
    add("--progress", nargs="?", choices=PROGRESS, const="auto", default="auto", help="default: a bar on a terminal")
    return parser


def backfill_options() -> ArgumentParser:
    """Return the options of a back-fill."""
    parser = _common_options()
    add = parser.add_argument
    add("--start-date", metavar="DATE", required=True, help="load what is younger, e.g. 2026-01-31")
    add("--end-date", metavar="DATE", required=True, help="load up to this date")
    parser.set_defaults(progress="auto")
    add("--by", default="month", help=f"a window's length: {', '.join(BY)} (default: month)")
    add("--workers", type=int, default=4, metavar="N", help="how many windows are loaded at once (default: 4)")
    add("--scheduler", metavar="ADDRESS", help="load them by the workers of this Dask cluster: tcp://10.0.0.5:8786")
    return parser


def _common_options() -> ArgumentParser:
    parser = ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--destination", default="duckdb", help="any dlt destination (default: duckdb)")
    add("--pipeline", default="toloka", metavar="NAME", help=f"{_PIPELINE} (default: toloka)")
    add("--dataset", default="toloka_data", help="the dataset, or schema, of the tables (default: toloka_data)")
    add("--resources", nargs="+", metavar="NAME", help=f"which to load, or all (default: {' '.join(RESOURCES)})")
    add("--environment", help="production or sandbox (default: what the configuration says, else production)")
    add("--report", metavar="FILE", help="write a page with charts of the data to this file, such as report.html")
    add("--output", choices=("text", "json"), default="text", help="json: one document on stdout (default: text)")
    kinds = "text, with times, or json, an object a line (default: bare on a terminal, else text)"
    add("--log-format", choices=("auto", "text", "json"), default="auto", help=f"of what goes to stderr: {kinds}")
    forbidden = "end with exit code 0 although the token may not read a list that is asked for"
    add("--skip-forbidden", action="store_true", help=forbidden)
    add("--strict", action="store_true", help="fail when an object doesn't fit its schema, before anything is loaded")
    add(
        "--no-publish", dest="publish", action="store_false", help="load into DuckDB's file itself: readers keep it off"
    )
    add("--lock-timeout", type=float, default=60, metavar="SECONDS", help="wait so long for who has it (default: 60)")
    add("--verbose", action="store_true", help="show the traceback of an error")
    add("--umask", type=_umask, metavar="OCTAL", help="as the shell's, for new files, such as 022 (default: 077)")
    return parser


def log_format(options: Namespace) -> LogFormat:
    """Return how lines of the log are written."""
    kind = options.log_format
    if kind == "auto":
        kind = "plain" if sys.stderr.isatty() else "text"
    resources: Collection[str] = ()
    if kind == "json":
        from toloka_source.catalog import ENDPOINTS  # noqa: PLC0415 - takes time to import

        resources = tuple(ENDPOINTS)
    return LogFormat(kind, resources, verbose=options.verbose)


def _umask(text: str) -> int:
    if 0 <= (mask := int(text, 8)) <= 0o777:  # noqa: PLR2004 - all rights
        return mask
    raise ValueError


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


class _Version(Action):
    """Looks up the version only when it is asked for."""

    def __call__(
        self,
        parser: ArgumentParser,
        _namespace: Namespace,
        _values: str | Sequence[object] | None,
        _option: str | None = None,
    ) -> None:
        """Print it, and end."""
        from importlib.metadata import version  # noqa: PLC0415 - takes time to import

        print(f"toloka-source {version('toloka-source')}")
        parser.exit()
