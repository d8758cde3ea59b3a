"""What of the documentation is made from the code: columns, options, arguments, filters, errors, faults, modules."""

import argparse
import inspect
import re
import tomllib
from ast import FunctionDef, get_docstring, parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.api.test_faults import fault_table
from tests.destinations.kinds import CHECKS, KINDS, LIMITS
from tests.docs import speed
from tests.docs.messages import messages
from toloka_source import ENDPOINTS, errors, toloka
from toloka_source.bi.list_views import list_views
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.catalog import DEFAULT_ENDPOINTS, schemas
from toloka_source.catalog.filters import COMPARISONS
from toloka_source.cli.options import command_parser
from toloka_source.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "toloka_source"

TABLES: Mapping[str, pa.Schema] = {
    **{name: endpoint.schema for name, endpoint in DEFAULT_ENDPOINTS.items()},
    "rejected_items": schemas.REJECTED_ITEMS,
    "gone_items": schemas.GONE_ITEMS,
    "a history": schemas.VERSION,
}

TYPE_NAMES = {
    schemas.TEXT: "text",
    schemas.TIMESTAMP: "timestamp",
    schemas.INTEGER: "bigint",
    schemas.BOOLEAN: "boolean",
    schemas.NUMBER: "double",
    schemas.MONEY: "decimal",
}


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    titles = list(titles)
    lines = [titles, ["---"] * len(titles), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("| --- |", "|---|").replace(" --- |", "---|")


def columns(schema: pa.Schema) -> str:
    """Return the columns of a table or a view."""
    return table(("column", "type", "what it is"), map(_column, schema))


def _column(field: pa.Field) -> tuple[str, str, str]:
    kind = "json" if schemas.is_json(field) else TYPE_NAMES[field.type]
    return f"`{field.name}`", kind, schemas.description(field)


def view(name: str) -> str:
    """Return what a view is, and its columns."""
    return f"{schemas.description(VIEWS[name])}.\n\n{columns(VIEWS[name])}"


def lists() -> str:
    """Return the lists of the API, and what is asked of each."""
    rows = (
        (
            f"`{name}`",
            "yes" if one.is_default else "",
            ", then ".join(f"`{cursor.name}`" for cursor in one.cursors) or "nothing: it is read whole each time",
            "yes" if one.can_be_deleted else "",
            f"{one.page_size:,}",
            f"`/{one.path}`",
        )
        for name, one in ENDPOINTS.items()
    )
    titles = ("name", "unless others are asked for", "what tells of new objects", "can be deleted", "in a page", "path")
    return table(titles, rows)


def further_tables() -> str:
    """Return the columns of those lists that have to be asked for."""
    names = ENDPOINTS.keys() - DEFAULT_ENDPOINTS.keys()
    return "\n\n".join(f"## `{name}`\n\n{columns(ENDPOINTS[name].schema)}" for name in ENDPOINTS if name in names)


def further_views() -> str:
    """Return the views of those lists, and their columns."""
    return "\n\n".join(
        f"## The view {name}\n\n{schemas.description(one.schema)}; of the table `{one.table}`.\n\n{columns(one.schema)}"
        for name, one in list_views().items()
    )


def subcommands() -> str:
    """Return the subcommands, and what each does."""
    choices = _subparsers()._choices_actions  # noqa: SLF001 - argparse lists them nowhere else
    return table(("subcommand", "what it does"), ((f"[`{one.dest}`](#{one.dest})", one.help or "") for one in choices))


def options(subcommand: str) -> str:
    """Return the options of a subcommand."""
    actions = _subparsers().choices[subcommand]._actions  # noqa: SLF001 - argparse lists them nowhere else
    shown = [action for action in actions if action.option_strings != ["-h", "--help"]]
    return table(("option", "what it does"), map(_option, shown))


def _subparsers() -> Any:
    (found,) = (
        action
        for action in command_parser()._actions  # noqa: SLF001 - argparse lists them nowhere else
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )
    return found


def _option(action: argparse.Action) -> tuple[str, str]:
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    more = " ..." if action.nargs == "+" else ""
    said = [(action.help or "") % {"default": action.default}]
    if action.choices:
        said.append(f"one of {', '.join(action.choices)}")
    if action.required:
        said.append("required")
    return f"`{action.option_strings[-1]}{value}{more}`", "; ".join(said)


def arguments() -> str:
    """Return the arguments of the source, what they are unless set, and what they mean."""
    said = inspect.getdoc(toloka) or ""
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w|^\w|\Z)", said.partition("Args:\n")[2], re.DOTALL | re.MULTILINE)
    meanings = {name: " ".join(text.split()) for name, text in found}
    rows = []
    for name, parameter in inspect.signature(toloka).parameters.items():
        unless = "" if name == "token" or parameter.default is None else f"`{parameter.default}`".lower()
        rows.append((f"`{name}`", unless, meanings[name]))
    return table(("name", "unless set", "what it is"), rows)


def filters() -> str:
    """Return the filters of each list, and what they take."""
    return table(("list", "filter", "value"), (row for name in ENDPOINTS for row in _filters(name)))


def _filters(name: str) -> Iterator[tuple[str, str, str]]:
    seen: dict[str, list[str]] = {}
    takes: dict[str, str] = {}
    for filter_, what in ENDPOINTS[name].filters.items():
        field = what.field if what.comparison in COMPARISONS else filter_
        seen.setdefault(field, []).append(f"`{filter_}`")
        try:
            what.check("", "")
        except ConfigurationError as error:
            takes[field] = re.sub(r"^(unknown; use|must be|not) ", "", error.remedy)
    for field, names in seen.items():
        yield f"`{name}`", ", ".join(names), takes[field]


def error_tree() -> str:
    """Return the errors, and what to do about them."""
    tree = (errors.__doc__ or "").partition("\n\n")[2]
    return f"```text\n{tree.strip()}\n```"


def modules() -> str:
    """Return the rooms in their order, from the top, and what each module does."""
    text = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = text["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = [room for layer in layers for room in layer.strip("()").split(" : ")]
    return table(("module", "what it does"), (row for room in rooms for row in _room(room)))


def _room(name: str) -> Iterator[tuple[str, str]]:
    folder = PACKAGE / name
    if not folder.is_dir():
        yield f"`{name}.py`", _first_line(folder.with_suffix(".py"))
        return
    yield f"**`{name}/`**", _first_line(folder / "__init__.py")
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("__"):
            yield f"`{path.name}`", _first_line(path)


def _first_line(path: Path) -> str:
    return (get_docstring(parse(path.read_text())) or "").partition("\n")[0]


def sessions() -> str:
    """Return the sessions of the checks, and what each does."""
    functions = [node for node in parse((ROOT / "noxfile.py").read_text()).body if isinstance(node, FunctionDef)]
    named = [node for node in functions if node.decorator_list]
    return table(("session", "what it does"), ((f"`{node.name}`", get_docstring(node) or "") for node in named))


def destinations() -> str:
    """Return what is checked of each kind of destination, and which checks it is known to fail."""
    checks = "".join(f"- {said}\n" for said in CHECKS.values())
    rows = [(kind.name, kind.extra, kind.json, _limits(LIMITS.get(name, {}))) for name, kind in KINDS.items()]
    return f"{checks}\n{table(('destination', 'needs', '`json` columns', 'fails'), rows)}"


def _limits(limits: Mapping[str, str]) -> str:
    """Return reasons; one that stands for several checks is said once, after all of them."""
    checks: dict[str, list[str]] = {}
    for check, reason in limits.items():
        checks.setdefault(reason, []).append(CHECKS[check])
    return "; ".join(f"*{', '.join(names)}*: {reason}" for reason, names in checks.items())


PARTS: dict[str, Callable[[], str]] = {
    **{f"columns of {name}": partial(columns, schema) for name, schema in TABLES.items()},
    **{f"columns of view {name}": partial(view, name) for name in VIEWS},
    "lists": lists,
    "further tables": further_tables,
    "further views": further_views,
    "subcommands": subcommands,
    **{f"options of {name}": partial(options, name) for name in ("load", "backfill", "emulator")},
    "arguments of the source": arguments,
    "filters": filters,
    "errors": error_tree,
    "messages": lambda: table(("what you see", "what to do"), messages()),
    "faults": fault_table,
    "destinations": destinations,
    "modules": modules,
    "sessions": sessions,
    **speed.PARTS,
}
"""The parts by their names."""
