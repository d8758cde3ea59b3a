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


def is_stale() -> bool:
    """Tell whether the picture has other tables, columns, types or references than the code."""
    text = FILE.read_text() if FILE.exists() else ""
    shown = [unescape(word).strip() for word in findall(r"<text [^>]*>(.*?)</text>", text)]
    expected = [word for name in ENDPOINTS for word in _words(name)]
    references = sum(schemas.refers_to(field) is not None for one in ENDPOINTS.values() for field in one.schema)
    return [word for word in shown if word not in ("NN", "_dlt_load_id", "")] != expected or text.count('class="edge"') != references


def _words(name: str) -> list[str]:
    """Return what is to be read of a table."""
    words = [name]
    for field in ENDPOINTS[name].schema:
        words += [field.name, "json" if schemas.is_json(field) else _TYPES[field.type]]
    return words


def draw() -> None:
    """Load a small account, and have dlt draw its tables."""
    with Emulator(Account.lifelike(projects=10)) as api, TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("picture", folder, destination="duckdb", dataset_name="toloka_data")
        pipeline.extract(toloka(token="any", base_url=api.base_url))  # noqa: S106 - no secret
        drawn = pipeline.default_schema.to_dot(include_dlt_tables=False)
    # not every machine's letters have dlt's key
    drawn = drawn.replace("🔑", "")
    svg = subprocess.run(["dot", "-Tsvg"], input=drawn, capture_output=True, text=True, check=True).stdout  # noqa: S607
    FILE.write_text(svg)
