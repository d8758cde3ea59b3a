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
from toloka_source import ENDPOINTS, toloka
from toloka_source.catalog import schemas
from toloka_source.emulator import Account, Emulator

FILE = Path(__file__).parents[2] / "docs" / "pictures" / "schema.svg"

_TYPES = {**TYPE_NAMES, schemas.YES_NO: "bool"}
"""As dlt calls them."""

_ROOM = "&#160;" * 3
"""Between a column's name and its type: letters can be wider where the picture is looked at."""


def is_stale() -> bool:
    """Tell whether the picture has other tables, columns, types or references than the code."""
    text = FILE.read_text() if FILE.exists() else ""
    references = sum(schemas.refers_to(field) is not None for one in ENDPOINTS.values() for field in one.schema)
    return _shown(text) != _expected() or text.count('class="edge"') != references


def _shown(text: str) -> dict[str, list[str]]:
    """Return what is to be read of each table in a picture."""
    tables: dict[str, list[str]] = {}
    words: list[str] = []
    for found in findall(r"<text [^>]*>(.*?)</text>", text):
        word = unescape(found).strip()
        if word in ENDPOINTS:
            words = tables.setdefault(word, [])
        elif word not in ("", "NN"):
            words.append(word)
    return tables


def _expected() -> dict[str, list[str]]:
    tables = {}
    for name, endpoint in ENDPOINTS.items():
        kinds = ["json" if schemas.is_json(field) else _TYPES[field.type] for field in endpoint.schema]
        columns = [*zip(endpoint.schema.names, kinds, strict=True), ("_dlt_load_id", "text")]
        tables[name] = [word for column in columns for word in column]
    return tables


def draw() -> None:
    """Load a small account, and have dlt draw its tables."""
    with Emulator(Account.lifelike(projects=10)) as api, TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("picture", folder, destination="duckdb", dataset_name="toloka_data")
        pipeline.extract(toloka(token="any", base_url=api.base_url))  # noqa: S106 - no secret
        drawn = pipeline.default_schema.to_dot(include_dlt_tables=False)
    # dlt's key is in few fonts
    drawn = drawn.replace("🔑", "").replace('<td align="right"><font>', f'<td align="right"><font>{_ROOM}')
    svg = subprocess.run(["dot", "-Tsvg"], input=drawn, capture_output=True, text=True, check=True).stdout  # noqa: S607
    FILE.write_text(svg)
