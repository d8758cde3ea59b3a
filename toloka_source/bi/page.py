"""The page that `--report` writes: headline numbers, charts and tables, in one HTML file that needs no network."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template

import vl_convert

from toloka_source.bi.charts import charts, words
from toloka_source.bi.list_cards import list_cards
from toloka_source.bi.page_parts import Rows, card, in_digits, in_utc, names, nothing_yet, table
from toloka_source.report import ResourceReport

# `ast` is Vega's way without `eval`, which the page's policy forbids
_START = """
for (const [id, spec] of Object.entries(JSON.parse(document.getElementById("charts").textContent)))
  vegaEmbed("#" + id, spec, {actions: false, ast: true, renderer: "svg"});
"""


def page(data: Mapping[str, Rows], reports: Sequence[ResourceReport], dataset: str) -> str:
    """Return the page.

    Args:
        data: The rows of each query.
        reports: What the run did for each resource; a back-fill has one of each window too.
        dataset: Where the data is, in words.
    """
    script = vl_convert.javascript_bundle(_START)
    return Template((files("toloka_source.bi") / "page.html").read_text(encoding="utf-8")).substitute(
        script_hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
        dataset=escape(dataset),
        body="\n".join(_tabs(_body(data, reports), list(list_cards(data)))),
        written=in_utc(datetime.now(UTC)),
        # a name can't end the element that it is in
        charts=json.dumps(dict(charts(data))).replace("<", "\\u003c"),
        script=script,
    )


def _tabs(body: Iterator[str], others: Sequence[str]) -> Iterator[str]:
    """Yield the page's body; the cards of further lists, if there are any, on a tab of their own."""
    if not others:
        yield from body
        return
    # not hidden by `display`: a chart there would have no width
    for place, title in enumerate(("Projects and trainings", "Pools and Tolokers"), 1):
        checked = " checked" if place == 1 else ""
        yield f'<input type="radio" name="tab" id="tab{place}"{checked}><label for="tab{place}">{title}</label>'
    yield '<div class="tab">'
    yield from body
    yield '</div>\n<div class="tab"><section class="cards">'
    yield from others
    yield "</section></div>"


def _body(data: Mapping[str, Rows], reports: Sequence[ResourceReport]) -> Iterator[str]:
    yield '<section class="numbers">'
    yield from _numbers(data, reports)
    yield '</section>\n<section class="cards">'
    for name, title, about, empty in (
        ("project_months", "Projects created", "in the last three years, by their status today", "No projects yet"),
        (
            "training_months",
            "Trainings by their last start",
            "in the last three years, by their status today; earlier starts aren't known",
            "No training was started yet",
        ),
        (
            "training_states",
            "Trainings by status",
            "and by why they were closed, the 12 most frequent",
            "No trainings yet",
        ),
        ("stalest", "Open for the longest time", "trainings that are open, the oldest start first", ""),
        ("fields", "Fields of a task", "projects by how many fields their tasks have", "No projects yet"),
        (
            "rules",
            "Quality control",
            "rules of all projects by what they watch, the 12 most frequent",
            "No quality control rules yet",
        ),
    ):
        if name == "stalest":
            content = _stalest(data[name])
        else:
            content = f'<div class="chart" id="{name}"></div>' if data[name] else nothing_yet(empty)
        yield card(title, about, content)
    yield from _history(data)
    about = "active projects and open trainings that may have been forgotten, and the newest of each"
    yield card("Setup health", about, _health(data["setup_health"]), "wide")
    yield card("What this run did", "requests to Toloka, and what they brought", _run(reports), "wide log")
    yield card("The last loads", "the newest first", _loads(data["loads"]), "wide log")
    yield "</section>"


def _history(data: Mapping[str, Rows]) -> Iterator[str]:
    since = data["history"][0]["since"]
    if since is None:
        switch = "There is no history: switch it on with <code>history = true</code> or <code>--history</code>"
        yield card("What has changed", "statuses, and how many trainings were open when", nothing_yet(switch), "wide")
        return
    begun = f"history began on {since:%Y-%m-%d}"
    for name, title, about, empty in (
        ("open_days", "Open trainings by day", "at the end of each of the last 90 days", "No trainings yet"),
        ("change_weeks", "Status changes by week", "in the last 26 weeks, by the new status", _NO_CHANGE),
    ):
        content = f'<div class="chart" id="{name}"></div>' if data[name] else nothing_yet(empty)
        yield card(title, f"{about}; {begun}", content)
    about = "the newest first; a change came between the last look at the old status and the first at the new one"
    yield card("The latest changes", about, _changes(data["latest_changes"]), "wide log")


_NO_CHANGE = "No status has changed yet"


def _numbers(data: Mapping[str, Rows], reports: Sequence[ResourceReport]) -> Iterator[str]:
    (projects,), (trainings,) = data["project_numbers"], data["training_numbers"]
    share = f"{projects['controlled'] / projects['projects']:.0%} of the projects" if projects["projects"] else "&nbsp;"
    rejected = sum(report.rejected for report in reports)
    # of each list the newest load comes first
    ends = {row["resource"]: row["data_until"] for row in reversed(data["loads"])}.values()
    until = min(filter(None, ends), default=None)
    for title, number, about in (
        ("Projects", in_digits(projects["projects"]), f"{in_digits(projects['active'])} active"),
        ("Trainings", in_digits(trainings["trainings"]), f"{in_digits(trainings['never_started'])} never started"),
        ("Open trainings", in_digits(trainings["open"]), f"in {in_digits(trainings['open_projects'])} projects"),
        ("With quality control", in_digits(projects["controlled"]), share),
        ("Rejected objects", in_digits(rejected), "didn't fit, in this run"),
        (
            "New data up to",
            f"<time>{until:%Y-%m-%d}</time>" if until else "&ndash;",
            f"{until:%H:%M:%S} UTC" if until else "&nbsp;",
        ),
    ):
        yield f'<div class="card"><p class="soft">{title}</p><p class="number">{number}</p><small>{about}</small></div>'


def _stalest(rows: Rows) -> str:
    columns = (names(rows, what, f"{what}_id") for what in ("training", "project"))
    cells = list(zip(*columns, [in_digits(row["days"]) for row in rows], strict=True))
    return table(("Training", "Project", "Days ago"), cells, 1) if cells else nothing_yet("No training is open")


def _health(rows: Rows) -> str:
    cells = []
    for resource, finding in dict.fromkeys((row["resource"], row["finding"]) for row in rows):
        found = [row for row in rows if (row["resource"], row["finding"]) == (resource, finding)]
        examples = "; ".join(names(found, "name", "id"))
        cells.append((f"{resource.capitalize()}: {finding}", examples, in_digits(found[0]["objects"])))
    return table(("Finding", "Such as", "How many"), cells, 1) if cells else nothing_yet("No finding")


def _changes(rows: Rows) -> str:
    columns = ("Name", "List", "Old status", "New status", "Not before", "Not after")
    cells = [
        (
            name,
            row["resource"],
            words(row["from_status"]),
            words(row["to_status"]),
            in_utc(row["seen_after"]),
            in_utc(row["seen_at"]),
        )
        for name, row in zip(names(rows, "name", "id"), rows, strict=True)
    ]
    return table(columns, cells, 0) if cells else nothing_yet(_NO_CHANGE)


def _run(reports: Sequence[ResourceReport]) -> str:
    counts = ("rows", "new", "changed", "unchanged", "gone", "requests", "retries", "rejected")
    titles = ("Rows", "New", "Changed", "Unchanged", "Gone", "Requests", "Tried again", "Rejected", "Seconds")
    columns = ("Resource", "From", "Up to", *titles)
    cells = []
    for name in dict.fromkeys(report.name for report in reports):
        # a back-fill has a report of each window
        parts = [report for report in reports if report.name == name]
        starts = [part.window_start for part in parts]
        cells.append(
            (
                name,
                "the beginning" if None in starts else in_utc(min(filter(None, starts))),
                in_utc(max(ends))
                if (ends := [part.window_end for part in parts if part.window_end])
                else "ended early",
                *(in_digits(_sum([getattr(part, what) for part in parts])) for what in counts),
                f"{sum(part.seconds for part in parts):,.1f}",
            )
        )
    return table(columns, cells, len(titles))


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _loads(rows: Rows) -> str:
    counts = ("new_rows", "changed_rows", "unchanged_rows", "gone_rows", "rejected_rows")
    titles = ("New", "Changed", "Unchanged", "Gone", "Rejected", "Seconds")
    columns = ("Done at", "List", "Kind", "New data up to", "Edits up to", *titles)
    cells = [
        (
            in_utc(row["loaded_at"]),
            row["resource"],
            row["kind"] or "\N{EN DASH}",
            in_utc(row["data_until"]),
            in_utc(row["full_read_at"]),
            *(in_digits(row[what]) for what in counts),
            f"{row['seconds']:,.1f}",
        )
        for row in rows
    ]
    return table(columns, cells, len(titles)) if cells else nothing_yet("No load is noted")
