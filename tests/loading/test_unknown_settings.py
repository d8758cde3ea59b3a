"""Misspelled settings, in files and in the environment: each is warned of once, with the name that may be meant."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.configuration.providers import ConfigProvider

from tests.conftest import Warehouse, bare
from toloka_source import ENDPOINTS, load_window, split_windows
from toloka_source.emulator import Emulator
from toloka_source.unknown_settings import SECTIONS, SETTINGS

COMMAND = [sys.executable, "-m", "toloka_source"]

CONFIG = """
[sources.tolka]
token = "any"

[sources.toloka_eu]
tokn = "of a clone of the source"

[sources.tools]
tokn = "of another source"

[sources.toloka]
startdate = "2026-01-01"
strict = false
colour = "blue"

[sources.toloka.extract]
workers = 2

[sources.toloka.projects]
status = "ACTIVE"

[sources.toloka.filters.projects]
status = "ACTIVE"
"""

SECRETS = """
[toloka.sources.toloka]
rescan_after_hour = 5
"""

VARIABLES = {
    "SOURCES__TOLOKA__RESCAN_AFTER_HOUR": "5",
    "SOURCES__TOLOKA__EXTRACT__WORKERS": "2",
    "SOURCES__TOLOKA__FILTERS__PROJECTS__STATUS": "ACTIVE",
    "SOURCES__TOLKA__STRICT": "true",
    "SOURCES__TOLOKA_EU__TOKN": "any",
    "SOURCES_TOLOKA_STRICT": "true",
    "TOLOKA__SOURCES__TOLOKA__MAX_CONCURENCY": "2",
    "TOLOKA__SOURCES__TOLOKA__MAX_CONCURRENCY": "2",
}

(JANUARY,) = split_windows("2026-01-01", "2026-02-01")

NO_SETTING = "is no setting, and without effect"


@pytest.fixture
def misspelled(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Configure the command in all places, right and wrong; return the warnings that belong to it."""
    right = {"SOURCES__TOLOKA__TOKEN": "secret", "SOURCES__TOLOKA__BASE_URL": api.base_url}
    for name, value in {**right, **VARIABLES}.items():
        monkeypatch.setenv(name, value)
    Path(".dlt").mkdir()
    Path(".dlt/config.toml").write_text(CONFIG)
    Path(".dlt/secrets.toml").write_text(SECRETS)
    return [
        f"[sources.tolka] in config.toml {NO_SETTING}: did you mean [sources.toloka]?",
        f"startdate under [sources.toloka] in config.toml {NO_SETTING}: did you mean start_date?",
        f"colour under [sources.toloka] in config.toml {NO_SETTING}; the settings are {', '.join(SETTINGS)}",
        (
            f"status under [sources.toloka.projects] in config.toml {NO_SETTING}: "
            "did you mean [sources.toloka.filters.projects]?"
        ),
        (
            f"rescan_after_hour under [toloka.sources.toloka] in secrets.toml {NO_SETTING}: "
            "did you mean rescan_after_hours?"
        ),
        *(
            f"{variable} {NO_SETTING}: did you mean {meant}?"
            for variable, meant in (
                ("SOURCES_TOLOKA_STRICT", "SOURCES__TOLOKA__STRICT"),
                ("SOURCES__TOLKA__STRICT", "SOURCES__TOLOKA__STRICT"),
                ("SOURCES__TOLOKA__FILTERS__PROJECTS__STATUS", "SOURCES__TOLOKA__FILTERS"),
                ("SOURCES__TOLOKA__RESCAN_AFTER_HOUR", "SOURCES__TOLOKA__RESCAN_AFTER_HOURS"),
                ("TOLOKA__SOURCES__TOLOKA__MAX_CONCURENCY", "TOLOKA__SOURCES__TOLOKA__MAX_CONCURRENCY"),
            )
        ),
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("load", "--progress", "off"),
        ("backfill", "--start-date", "2026-01-01", "--end-date", "2026-03-01"),
    ],
    ids=lambda words: words[0],
)
@pytest.mark.slow
def test_the_command_warns_of_each_once(misspelled: list[str], words: tuple[str, ...]) -> None:
    run = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    said = bare(run.stderr).replace("warning: ", "").splitlines()
    assert sorted(line for line in said if NO_SETTING in line) == sorted(misspelled)


@pytest.mark.slow
def test_a_window_warns_and_the_demo_does_not(
    api: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "secret")
    monkeypatch.setenv("SOURCES__TOLOKA__STRIKT", "true")
    load_window(JANUARY, "duckdb", base_url=api.base_url)
    assert [record.message for record in caplog.records if "STRIKT" in record.message] == [
        f"SOURCES__TOLOKA__STRIKT {NO_SETTING}: did you mean SOURCES__TOLOKA__STRICT?"
    ]
    caplog.clear()
    run = subprocess.run([*COMMAND, "demo", "--progress", "off"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


class Asked(ConfigProvider):
    """Notes what dlt asks for under `sources.toloka`, and has none of it."""

    name = "asked"
    supports_secrets = supports_sections = True

    def __init__(self) -> None:
        """Begin with nothing."""
        self.names: set[str] = set()

    def get_value(self, key: str, _hint: type[Any], _pipeline_name: str | None, *sections: str) -> tuple[None, str]:
        """Note it."""
        if sections[:2] == ("sources", "toloka"):
            self.names.add((*sections[2:], key)[0])
        return None, ""


def test_what_dlt_asks_for_is_known(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "secret")
    asked = Asked()
    dlt.config.register_provider(asked)
    Warehouse(api).load(resources="all")
    load_window(JANUARY, "duckdb", resources="all", base_url=api.base_url)
    # the cursor of a list without times isn't asked for
    without = {name for name, one in ENDPOINTS.items() if not one.cursors}
    assert asked.names | without | {"token", "base_url", "resources"} == {*SETTINGS, *SECTIONS}
