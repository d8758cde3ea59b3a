"""The site: it builds without a warning, and its pages ask no other machine for anything."""

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, pages


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def test_each_page_is_there(site: Path) -> None:
    for page in pages():
        assert (site / page.relative_to(DOCS)).with_suffix(".html").is_file()


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?:link|script|img|iframe|source|video)\b[^>]*>", page.read_text()):
            for address in re.findall(r'(?:src|href|srcset)="?([^">]+)', tag):
                assert not re.match(r"(https?:)?//", unescape(address)) or 'rel="canonical"' in tag, (page, tag)
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text()), style
