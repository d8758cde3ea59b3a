"""The image: what its file says is done here without Docker, and what the guide says of it is looked at."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import yaml  # type: ignore[import-untyped]

from tests.docs.pages import DOCS, ROOT, blocks
from toloka_source.cli.options import command_parser
from toloka_source.emulator import Emulator

pytest_plugins = ["tests.postgres"]

GUIDE = DOCS / "guides" / "container.md"


def instructions(*names: str) -> list[tuple[str, str]]:
    """Return the file's instructions of these names, and what each says."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found = re.findall(r"^(\w+) +(.+)$", text, re.MULTILINE)
    assert len(found) == len([line for line in text.splitlines() if line])
    return [(name, said) for name, said in found if name in names]


def copied() -> list[str]:
    """Return what is copied from the project."""
    copies = [said.split()[:-1] for _, said in instructions("COPY") if not said.startswith("--from")]
    return [name for names in copies for name in names]


def test_only_what_is_copied_is_sent_to_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert [line for line in lines if line and line[0] not in "#!"] == ["*", "**/__pycache__"]
    assert [line.removeprefix("!") for line in lines if line.startswith("!")] == copied()


def test_it_runs_as_a_user_that_is_not_root_and_holds_no_secret() -> None:
    assert [said for _, said in instructions("USER")] == ["10001"]
    assert "--uid 10001 " in instructions("RUN")[-1][1]
    assert instructions("ARG") == []
    variables = " ".join(said for _, said in instructions("ENV"))
    assert set(re.findall(r"(\w+)=", variables)) == {"PATH", "HOME", "RUNTIME__DLTHUB_TELEMETRY"}


@pytest.mark.slow
def test_its_steps_make_the_command(own_folder: Path, api: Emulator, postgres_database: str) -> None:
    source, installed = own_folder / "source", own_folder / "opt" / "toloka"
    source.mkdir()
    for name in copied():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    (own_folder / "bin").mkdir()
    (own_folder / "bin" / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    environment = {**os.environ, "PATH": f"{own_folder / 'bin'}:{os.environ['PATH']}"}
    *steps, _ = (said.replace("/opt/toloka", str(installed)) for _, said in instructions("RUN"))
    for step in steps:
        subprocess.run(["/bin/sh", "-c", step], cwd=source, env=environment, check=True, capture_output=True)
    shutil.rmtree(source)  # the second stage has the environment alone

    api.account.create_project()
    ((_, entry),) = instructions("ENTRYPOINT")
    variables = {
        "PATH": f"{installed / 'bin'}:{os.environ['PATH']}",
        "HOME": str(own_folder),
        "SOURCES__TOLOKA__TOKEN": "any",
        "SOURCES__TOLOKA__BASE_URL": api.base_url,
        "DESTINATION__POSTGRES__CREDENTIALS": postgres_database,
    }
    command = [*json.loads(entry), "load", "--destination", "postgres"]
    subprocess.run(command, cwd=own_folder, env=variables, check=True, capture_output=True)
    with closing(psycopg2.connect(postgres_database)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM toloka_bi.projects")
        assert cursor.fetchall() == [(1,)]


def test_the_cron_job_of_the_guide() -> None:
    (job,) = (yaml.safe_load(block) for block in blocks(GUIDE, "yaml"))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert command_parser().parse_args(container["args"]).command == "load"
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert {"SOURCES__TOLOKA__TOKEN", "DESTINATION__POSTGRES__CREDENTIALS"} <= set(
        re.findall(r"[A-Z]+__\w+", GUIDE.read_text())
    )
