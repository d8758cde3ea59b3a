"""`toloka-source demo`: a local Toloka, loaded twice."""

from argparse import Namespace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.typing import TRefreshMode

from toloka_source import LoadReport, load, toloka
from toloka_source.cli.failure import fail
from toloka_source.cli.output import Output
from toloka_source.cli.run_load import build_pipeline, build_source, look, write_page

if TYPE_CHECKING:
    from toloka_source.emulator import Account

_FILE = "toloka_demo.duckdb"


def run_demo(options: Namespace) -> int:
    """Load a local Toloka, let a day pass there, load again; return the exit code."""
    if not all(map(find_spec, ("starlette", "uvicorn"))):
        return fail("the demo needs the extra demo: pip install 'toloka-source[demo]'", 2)
    from toloka_source.emulator import Account, Clock, Emulator  # noqa: PLC0415 - needs the extra

    output = Output(options.output)
    is_duckdb = options.destination == "duckdb"
    destination = dlt.destinations.duckdb(_FILE) if is_duckdb else options.destination
    pipeline = build_pipeline("toloka_demo", destination, f"{options.dataset}_demo", options)
    account = Account.lifelike(projects=1_000, clock=Clock(datetime.now(UTC) - timedelta(days=1, minutes=1)))
    reports: list[LoadReport] = []
    try:
        with Emulator(account) as api:
            has = f"{len(account.projects)} projects, {len(account.trainings)} trainings"
            output.say(f"A local Toloka at {api.base_url}: {has}")
            reports.append(_load(pipeline, api.base_url, options, "drop_sources"))  # those of the last demo
            output.report(reports[-1])
            output.say(f"\nA day passes: {_pass_a_day(account)}")
            reports.append(_load(pipeline, api.base_url, options))
            output.report(reports[-1])
    finally:
        if reports:
            output.document({"loads": [report.as_dict() for report in reports]})
    write_page(pipeline, reports[-1:], options.report, output)
    output.say(f"\nLook at it: {look(pipeline, reports[-1], options)}")
    return 0


def _load(pipeline: dlt.Pipeline, base_url: str, options: Namespace, refresh: TRefreshMode | None = None) -> LoadReport:
    # a section of its own, not the configuration of the real source
    build = toloka.clone(name="toloka_demo", section="toloka_demo")
    # an edit is no change that a cursor sees: a whole scan after this day would hide what the cursor does
    arguments: dict[str, Any] = {} if options.full else {"rescan_after_hours": None}
    source = build_source(options, build, token="any", base_url=base_url, **arguments)  # noqa: S106 - no secret
    return load(pipeline, source, refresh=refresh, views=True)


def _pass_a_day(account: "Account") -> str:
    """Change what a requester changes in a day; return it in words."""
    started = [training["id"] for training in account.trainings if training["status"] == "CLOSED"][:8]
    for hour in range(24):
        account.clock.advance(hours=1)
        if hour % 2 == 0:
            project = account.create_project(public_name=f"Day's project {hour // 2 + 1}")
        if hour % 3 == 0:
            account.create_training(project["id"], private_name=f"Day's training {hour // 3 + 1}")
            account.start_training(started[hour // 3])
    return f"12 projects and 8 trainings are created, {len(started)} older trainings are started again"
