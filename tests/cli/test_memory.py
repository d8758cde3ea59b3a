"""The command's threads share the memory that they have freed, unless its environment says otherwise."""

import os
import subprocess
import sys

import pytest

LOAD = """
from toloka_source.cli import main
assert main(["load"])  # there is no token
import os, pyarrow
print(pyarrow.default_memory_pool().backend_name, os.environ["MALLOC_ARENA_MAX"])
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "system 1"),
        ({"ARROW_DEFAULT_MEMORY_POOL": "mimalloc", "MALLOC_ARENA_MAX": "4"}, "mimalloc 4"),
    ],
)
def test_shared_memory(given: dict[str, str], expected: str) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ARROW_", "MALLOC_"))}
    command = [sys.executable, "-c", LOAD]
    ended = subprocess.run(command, env={**own, **given}, check=True, stdout=subprocess.PIPE, text=True)
    assert ended.stdout.splitlines()[-1] == expected
