"""The picture of the tables: what dlt draws of the schema after a load, as SVG.

Graphviz (`apt-get install graphviz`) is needed only to draw it anew; whether it is stale is told without.
"""

import subprocess
from html import unescape
from pathlib import Path
from re import findall
from tempfile import TemporaryDirectory

import dlt

from tests.docs.parts import TYPE_NAMES
from toloka_source import toloka
from toloka_source.catalog import DEFAULT_ENDPOINTS, schemas
from toloka_source.emulator import Account, Emulator

FILE = Path(__file__).parents[2] / "docs" / "pictures" / "schema.svg"

_TYPES = {**TYPE_NAMES, schemas.BOOLEAN: "bool"}
"""As dlt calls them."""

_CHANGES = {
    "🔑": "",  # few fonts have it
    '<td align="right"><font>': f'<td align="right"><font>{"&#160;" * 3}',  # letters may be wider where it is looked at
    "node [penwidth=0": "node [shape=plain, penwidth=0",  # else there is an ellipse around each table
    'rankdir="BT", ranksep=5, layout="twopi"': 'rankdir="RL", layout="dot"',  # that is for many tables
}
"""What is changed of dlt's drawing."""


def is_stale() -> bool:
    """Tell whether the picture has other tables, columns, types or references than the code."""
    text = FILE.read_text() if FILE.exists() else ""
    references = sum(schemas.refers_to(field) is not None for one in DEFAULT_ENDPOINTS.values() for field in one.schema)
    return _shown(text) != _expected() or text.count('class="edge"') != references


def _shown(text: str) -> dict[str, list[str]]:
    """Return what is to be read of each table in a picture."""
    tables: dict[str, list[str]] = {}
    words: list[str] = []
    for found in findall(r"<text [^>]*>(.*?)</text>", text):
        word = unescape(found).strip()
        if word in DEFAULT_ENDPOINTS:
            words = tables.setdefault(word, [])
        elif word not in ("", "NN"):
            words.append(word)
    return tables


def _expected() -> dict[str, list[str]]:
    tables = {}
    for name, endpoint in DEFAULT_ENDPOINTS.items():
        kinds = ["json" if schemas.is_json(field) else _TYPES[field.type] for field in endpoint.schema]
        columns = [*zip(endpoint.schema.names, kinds, strict=True), ("_dlt_load_id", "text")]
        tables[name] = [word for column in columns for word in column]
    return tables


def write() -> None:
    """Load a small account, and have dlt draw its tables."""
    with Emulator(Account.lifelike(projects=10)) as api, TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("picture", folder, destination="duckdb", dataset_name="toloka_data")
        pipeline.extract(toloka(token="any", base_url=api.base_url))  # noqa: S106 - no secret
        drawn = pipeline.default_schema.to_dot(include_dlt_tables=False)
    for old, new in _CHANGES.items():
        drawn = drawn.replace(old, new)
    svg = subprocess.run(["dot", "-Tsvg"], input=drawn, capture_output=True, text=True, check=True).stdout  # noqa: S607
    FILE.write_text(svg)
