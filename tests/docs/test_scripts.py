"""The two scripts, where there is Python and nothing else: from a copy of the files, with an empty home, without uv."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

pytestmark = pytest.mark.slow

PROGRAMS = ("sh", "dirname", "realpath")

OF_THE_NETWORK = re.compile(r"(SSL_CERT|PIP_|UV_).*|.*_PROXY", re.IGNORECASE)
"""Variables without which there is no way to the package index from some machines."""


@pytest.fixture
def home(own_folder: Path) -> Path:
    """Return an empty folder."""
    (own_folder / "home").mkdir()
    return own_folder / "home"


@pytest.fixture
def checkout(own_folder: Path) -> Path:
    """Return a copy of the files that are, or would be, in the repository."""
    command = shlex.split("git ls-files --cached --others --exclude-standard")
    for name in subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        if (ROOT / name).exists():
            (own_folder / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, own_folder / "checkout" / name)
    return own_folder / "checkout"


@pytest.fixture
def environment(own_folder: Path, home: Path) -> dict[str, str]:
    """Return variables with a path to Python and little else; packages are taken from where uv keeps them."""
    programs = own_folder / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    for program in PROGRAMS:
        (programs / program).symlink_to(shutil.which(program) or program)
    cache = subprocess.run(shlex.split("uv cache dir"), check=True, capture_output=True, text=True).stdout.strip()
    kept = {name: value for name, value in os.environ.items() if OF_THE_NETWORK.fullmatch(name)}
    kept.pop("UV_PROJECT_ENVIRONMENT", None)
    return kept | {"HOME": str(home), "PATH": str(programs), "UV_CACHE_DIR": cache}


def run(command: Path, *words: str, environment: dict[str, str], home: Path) -> str:
    """Run a script from another folder; return what it prints. It leaves nothing there."""
    done = subprocess.run([command, *words], cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(home.iterdir()) == []
    return done.stdout


def test_the_demo(checkout: Path, environment: dict[str, str], home: Path) -> None:
    said = run(checkout / "scripts" / "demo", environment=environment, home=home)
    rows = re.findall(r"^(?:projects|trainings) +([a-z-]+) +(\d+) ", said, re.MULTILINE)
    assert rows[:2] == [("first", "1000"), ("first", "750")]
    assert rows[2:] == [("increment", "1"), ("increment", "4"), ("re-scan", "20"), ("re-scan", "8")]
    assert (checkout / "toloka_demo.duckdb").exists()


def test_the_checks(checkout: Path, environment: dict[str, str], home: Path) -> None:
    # these tests alone, as all of them are what runs this one; types without what was found before take a minute
    tests = ("-s", "lint", "tests", "--", "tests/tables/test_background.py")
    said = run(checkout / "scripts" / "test", *tests, environment=environment, home=home)
    assert re.search(r" \d+ passed in ", said)
