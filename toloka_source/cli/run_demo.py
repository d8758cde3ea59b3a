"""`toloka-source demo`: a local Toloka, loaded three times."""

from argparse import Namespace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.typing import TRefreshMode

from toloka_source import ENDPOINTS, LoadReport, load, resource_names, toloka
from toloka_source._dlt import own_signals
from toloka_source.cli.failure import fail
from toloka_source.cli.output import Output
from toloka_source.cli.run_load import build_pipeline, build_source, chosen_resources, look, write_page

if TYPE_CHECKING:
    from toloka_source.emulator import Account


def run_demo(options: Namespace) -> int:
    """Load a local Toloka, let an hour pass there, load, let a day pass, load; return the exit code."""
    if not all(map(find_spec, ("starlette", "uvicorn"))):
        return fail("the demo needs the extra demo: pip install 'toloka-source[demo]'", 2)
    from toloka_source.emulator import Account, Clock, Emulator  # noqa: PLC0415 - needs the extra

    output = Output(options)
    options.history = True  # so that the page has something to show of it
    is_duckdb = options.destination == "duckdb"
    name = f"{options.pipeline}_demo"
    destination = dlt.destinations.duckdb(f"{name}.duckdb") if is_duckdb else options.destination
    pipeline = build_pipeline(name, destination, f"{options.dataset}_demo", options)
    lists = [ENDPOINTS[name] for name in resource_names(chosen_resources(options))]
    begins = Clock(datetime.now(UTC) - timedelta(days=1, hours=1, minutes=1))
    account = Account.lifelike(projects=1_000, clock=begins, others=not all(one.is_default for one in lists))
    reports: list[LoadReport] = []
    try:
        with Emulator(account) as api:
            has = ", ".join(f"{len(account.ids(one.name))} {one.nouns[1]}" for one in lists)
            output.say(f"A local Toloka at {api.base_url}: {has}")
            reports.append(_load(pipeline, api.base_url, options, "drop_sources"))  # those of the last demo
            output.report(reports[-1])
            output.say(f"\nAn hour passes: {_pass_an_hour(account)}. The filters of the API find that:")
            # the account is so small that it would be read whole, which hides what the cursor does
            reports.append(_load(pipeline, api.base_url, options, rescan_after_hours=None))
            output.report(reports[-1])
            output.say(
                f"\nA day passes: {_pass_a_day(account)}. No filter tells of edits: everything is read, and compared:"
            )
            reports.append(_load(pipeline, api.base_url, options))
            output.report(reports[-1])
    finally:
        if reports:
            output.document({"loads": [report.as_dict() for report in reports]})
    write_page(pipeline, reports[-1:], options, output)
    output.say(f"\nLook at it: {look(pipeline, reports[-1], options)}")
    return 0


def _load(
    pipeline: dlt.Pipeline,
    base_url: str,
    options: Namespace,
    refresh: TRefreshMode | None = None,
    **arguments: Any,  # noqa: ANN401 - the source's
) -> LoadReport:
    # a section of its own, not the configuration of the real source
    build = toloka.clone(name="toloka_demo", section="toloka_demo")
    if options.full:
        arguments = {}
    source = build_source(options, build, token="any", base_url=base_url, **arguments)  # noqa: S106 - no secret
    with own_signals():
        return load(
            pipeline,
            source,
            refresh=refresh,
            views=True,
            publish=options.publish,
            lock_timeout=options.lock_timeout,
        )


def _pass_an_hour(account: "Account") -> str:
    """Change what the API's filters tell of; return it in words."""
    closed = [training["id"] for training in account.trainings if training["status"] == "CLOSED"][:3]
    account.clock.advance(hours=1)
    project = account.create_project(public_name="A new project")
    account.create_training(project["id"], private_name="A new training")
    for training in closed:
        account.start_training(training)
    return f"a project and a training are created, {len(closed)} older trainings are started again"


def _pass_a_day(account: "Account") -> str:
    """Change what no filter tells of, too; return it in words."""
    active = [project["id"] for project in account.projects if project["status"] == "ACTIVE"]
    opened = [training["id"] for training in account.trainings if training["status"] == "OPEN"][:8]
    account.clock.advance(days=1)
    for number in range(12):
        account.create_project(public_name=f"Day's project {number + 1}")
    for project in active[:5]:
        account.edit_project(project, public_description="Edited")
    for project in active[5:8]:
        account.archive_project(project)
    for training in opened:
        account.close_training(training)
    return f"12 projects are created, 5 edited and 3 archived, {len(opened)} trainings are closed"
