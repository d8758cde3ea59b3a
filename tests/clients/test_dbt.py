"""dbt reads the sources that `pipelines/dbt/toloka.yml` names, from a file that loads go on into."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml  # type: ignore[import-untyped]

from tests.bi.views_place import Place
from tests.conftest import NOON
from tests.docs.dbt_sources import FILE
from tests.docs.pages import DOCS, blocks
from toloka_source.emulator import Account, Clock, Emulator

GUIDE = DOCS / "guides" / "dbt.md"


@pytest.fixture
def project(own_folder: Path) -> Path:
    """Make a dbt project as the guide says."""
    profile, variables = blocks(GUIDE, "yaml")
    (model,) = blocks(GUIDE, "sql")
    (own_folder / "models").mkdir()
    (own_folder / "profiles.yml").write_text(profile)
    (own_folder / "dbt_project.yml").write_text(f"name: mine\nprofile: toloka\n{variables}")
    (own_folder / "models" / "open_trainings.sql").write_text(model)
    shutil.copy(FILE, own_folder / "models")
    return own_folder


@pytest.fixture
def place() -> Iterator[Place]:
    """Load an account of which there is all: each list, an object that doesn't fit, one that is gone, a history."""
    with Emulator(Account.lifelike(projects=30, clock=Clock(NOON), others=True)) as api:
        place = Place(api, None)
        api.account.create_project(sensitive="maybe")
        place.load(history=True, resources="all")
        api.account.clock.advance(hours=1)
        api.account.archive_project(api.account.projects[0]["id"])
        api.account.remove("trainings", api.account.trainings[0]["id"])
        place.load(history=True, resources="all", rescan_after_hours=0)
        yield place


def dbt(*words: str) -> str:
    """Run dbt, to which what is deprecated is an error; return what it says."""
    command: list[str | Path] = [Path(sys.executable).with_name("dbt"), "--warn-error", "--no-use-colors", *words]
    environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return f"{done.returncode}: {done.stdout}{done.stderr}"


def models() -> list[tuple[Any, ...]]:
    """Return the rows of the guide's model."""
    with duckdb.connect("models.duckdb") as connection:
        return connection.execute("FROM open_trainings").fetchall()


@pytest.mark.usefixtures("project")
def test_a_model_reads_the_newest_load(place: Place) -> None:
    for name in ("Cats", "Dogs"):
        training = place.api.account.create_training(place.api.account.create_project(public_name=name)["id"])
        place.api.account.start_training(training["id"])
        place.load(rescan_after_hours=0)
        said = dbt("run")
        assert said.startswith("0: "), said
        names = {item["id"]: item["public_name"] for item in place.api.account.projects}
        opened = [item["project_id"] for item in place.api.account.trainings if item["status"] == "OPEN"]
        assert sorted(models()) == sorted(Counter(names[one] for one in opened).items())


def test_each_source_has_its_columns(place: Place, project: Path) -> None:
    counts = {}
    for source in yaml.safe_load(FILE.read_text())["sources"]:
        schema = re.findall('"(.*?)"', source["schema"])[1]
        for table in source["tables"]:
            columns = ", ".join(column["name"] for column in table["columns"])
            text = f"select {columns} from {{{{ source('{source['name']}', '{table['name']}') }}}}"  # noqa: S608
            model = f"{source['name']}__{table['name']}"
            (project / "models" / f"{model}.sql").write_text(text)
            counts[model] = place.one(f"SELECT count(*) FROM {schema}.{table['name']}")  # noqa: S608
    assert all(counts.values())
    said = dbt("run")
    assert said.startswith("0: "), said
    with duckdb.connect("models.duckdb") as connection:
        found = {model: connection.execute(f"SELECT count(*) FROM {model}").fetchone() for model in counts}  # noqa: S608
    assert found == {model: (count,) for model, count in counts.items()}


def test_freshness_is_that_of_the_newest_load_that_succeeded(place: Place, project: Path) -> None:
    for hours, status in ((2, "pass"), (2, "warn"), (21, "error")):
        place.ask(
            f"UPDATE toloka_data._toloka_loads SET loaded_at = loaded_at - INTERVAL '{hours} hours'",  # noqa: S608
            "INSERT INTO toloka_data._toloka_loads (loaded_at, resource, status) VALUES (now(), 'projects', 'failed')",
        )
        said = dbt("source", "freshness")
        (result,) = json.loads((project / "target" / "sources.json").read_text())["results"]
        assert (result["unique_id"], result["status"]) == ("source.mine.toloka_bi.loads", status), said
