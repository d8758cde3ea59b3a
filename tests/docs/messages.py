"""What users read when something goes wrong, taken from where the code says it, and what to do about it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from toloka_source import errors

_PACKAGE = Path(errors.__file__).parent

_VALUE = "…"
"""Stands for what is known only when it goes wrong."""


def messages() -> Iterator[tuple[str, str]]:
    """Yield each message, without its values, and what to do; in the order in which the errors are documented."""
    found = {(_group(name), text) for path in _PACKAGE.rglob("*.py") for name, text in _messages_in(path)}
    order = list(_remedies())
    for group, text in sorted(found, key=lambda one: (order.index(one[0]), one[1])):
        yield f"`{text}`", _remedies()[group]


def _messages_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the errors that a module makes, and what each says."""
    tree = ast.parse(path.read_text())
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func).rpartition(".")[2]
            if name in _documented():
                said = _texts_of_names(function, call.lineno)
                texts = [_text(part, said) for part in call.args]
                if name in _with_parts():
                    field, remedy = (texts[0], texts[2]) if len(texts) > 2 else ("", "")
                    texts = [f"{field} = {_VALUE}: {remedy}"] if field and remedy else []
                if texts and texts[0].strip(f"{_VALUE} :,;"):
                    yield name, texts[0]


def _texts_of_names(function: ast.FunctionDef, before: int) -> dict[str, str]:
    """Return the names that a function gives to texts, as they are before a line."""
    return {
        target.id: _text(node.value, {})
        for node in sorted(
            (one for one in ast.walk(function) if isinstance(one, ast.Assign)), key=lambda one: one.lineno
        )
        if node.lineno < before
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _text(node: ast.expr, said: dict[str, str]) -> str:
    """Return a text of the code; empty if it is known only when it runs."""
    if isinstance(node, ast.Name):
        return said.get(node.id, "")
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (str(part.value) if isinstance(part, ast.Constant) else _of_value(part, said) for part in node.values)
        return "".join(parts)
    return ""


def _of_value(part: ast.expr, said: dict[str, str]) -> str:
    inner = part.value if isinstance(part, ast.FormattedValue) else part
    return _text(inner, said) or _VALUE


def _documented() -> set[str]:
    return {name for name in vars(errors) if re.fullmatch(r"[A-Z]\w+Error", name)} - {"TolokaError"}


def _with_parts() -> set[str]:
    """Return the errors that are made of a setting, its value and a remedy."""
    return {name for name in _documented() if issubclass(getattr(errors, name), errors.ConfigurationError)}


def _group(name: str) -> str:
    """Return the name of the group that an error is in."""
    kinds: Iterator[str] = (kind.__name__ for kind in getattr(errors, name).__mro__)
    return next(kind for kind in kinds if kind in _remedies())


def _remedies() -> dict[str, str]:
    """Return what to do about the errors of each group, as their module says it."""
    return dict(re.findall(r"^[├└]── (\w+) +(.+)$", errors.__doc__ or "", re.MULTILINE))
