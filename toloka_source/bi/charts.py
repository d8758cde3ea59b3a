"""The charts of the page that `--report` writes: rows in, Vega-Lite out.

Colours are the page's own (`page.html`): what reads `var(--...)` is another colour in the dark.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import count
from math import ceil
from typing import Any

import altair as alt

from toloka_source.bi.page_parts import names

Row = Mapping[str, Any]
Spec = dict[str, Any]

_BLUE = "var(--blue)"
_COLOURS = {
    "Active": _BLUE,
    "Open": "var(--green)",
    "Closed": "var(--slate)",
    "Locked": "var(--orange)",
    "Archived": "var(--grey)",
    "Bonuses": _BLUE,
    "Input": _BLUE,
    "Output": "var(--pale-blue)",
}
_UNKNOWN = "var(--purple)"
"""The colour of a status that the API doesn't document."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_HEIGHT = 220
"""Of a chart, in pixels."""


def charts(data: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, Spec]]:
    """Yield each chart's place on the page, and the chart.

    Args:
        data: The rows of each query; a chart without rows is left out.
    """
    if rows := data["project_months"]:
        yield "project_months", _months(rows, "projects", "Projects created")
    if rows := data["training_months"]:
        yield "training_months", _months(rows, "trainings", "Trainings last started")
    if rows := data["training_states"]:
        yield "training_states", _ranking([_state(row, "trainings") for row in rows], "trainings", "Trainings")
    if rows := data["fields"]:
        yield "fields", _fields(rows)
    if rows := data["rules"]:
        named = [{"name": words(row["collector"]), **row} for row in rows]
        yield (
            "rules",
            _ranking(named, "rules", "Rules", alt.Tooltip("projects:Q", title="Projects with one", format=",")),
        )
    if rows := data["open_days"]:
        days = _days_between(rows[0]["day"], rows[-1]["day"], 1)
        yield "open_days", _days("day", rows, "trainings", "Open trainings", days)
    if rows := data["change_weeks"]:
        last = _monday(data["history"][0]["until"].date())
        weeks = _days_between(rows[0]["week"], last, 7)
        yield "change_weeks", _days("week", rows, "changes", "Status changes", weeks)
    yield from _list_charts(data)


def _list_charts(data: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, Spec]]:
    if rows := data.get("pool_states"):
        yield "pool_states", _ranking([_state(row, "pools") for row in rows], "pools", "Pools")
    if rows := data.get("bonus_months"):
        paid = [{"status": "Bonuses", **row} for row in rows]
        yield "bonus_months", _months(paid, "dollars", "US dollars")
    if rows := data.get("bonus_projects"):
        of_each = zip(names(rows, "project", "project_id"), rows, strict=True)
        named = [{"name": name or "Not known", **row} for name, row in of_each]
        yield "bonus_projects", _ranking(named, "dollars", "US dollars", form=",.2f")
    if rows := data.get("skills_held"):
        named = [{"name": name, **row} for name, row in zip(names(rows, "skill", "skill_id"), rows, strict=True)]
        yield "skills_held", _ranking(named, "tolokers", "Tolokers")
    if rows := data.get("restrictions"):
        named = [{"name": words(row["scope"]), **row} for row in rows]
        tolokers = alt.Tooltip("tolokers:Q", title="Tolokers", format=",")
        yield "restrictions", _ranking(named, "restrictions", "Restrictions", tolokers)


def words(value: object) -> str:
    """Return a constant of the API's in words: `ARCHIVED` as "Archived"."""
    return str(value).replace("_", " ").capitalize() if value else "Not known"


_PERIODS = {"month": ("Month", "%b %Y"), "week": ("Week from", "%d %b %Y"), "day": ("Day", "%d %b %Y")}
"""How a period is called, and its days written."""


def _months(rows: Sequence[Row], what: str, title: str) -> Spec:
    months = _months_between(rows[0]["month"], rows[-1]["month"])
    labelled = [month for month in months if month.month in _LABELLED or len(months) <= len(_LABELLED) * 4]
    return _periods("month", rows, what, title, months, labelled)


def _days(period: str, rows: Sequence[Row], what: str, title: str, days: Sequence[date]) -> Spec:
    return _periods(period, rows, what, title, days, days[:: -ceil(len(days) / _MOST_LABELS)])


def _periods(
    period: str, rows: Sequence[Row], what: str, title: str, periods: Sequence[date], labelled: Sequence[date]
) -> Spec:
    """Return a bar for each period, in the colours of the statuses.

    Args:
        period: The column of the period.
        rows: A number for each period and status.
        what: The column of the number.
        title: What is counted, for people.
        periods: The first days of all periods, also of those without rows.
        labelled: Those that have labels.
    """
    period_title, form = _PERIODS[period]
    values = [{period: f"{row[period]:{form}}", "status": words(row["status"]), what: row[what]} for row in rows]
    domain = _domain("status", values)
    totals: Counter[str] = Counter()
    for value in values:
        value["place"] = domain.index(value["status"])  # in its bar, as in the legend
        totals[value[period]] += value[what]
    labels = [f"{day:{form}}" for day in labelled]
    axis = alt.Axis(grid=False, values=labels, labelAngle=0, labelOverlap=True, labelSeparation=8, labelPadding=10)
    chart = alt.Chart(alt.InlineData(values=values)).mark_bar(cornerRadius=1)
    return _spec(
        chart.encode(
            # a band for each period, which its label is under the middle of
            x=alt.X(f"{period}:O", title=None, scale=alt.Scale(domain=[f"{day:{form}}" for day in periods]), axis=axis),
            y=_height(f"sum({what}):Q", title, max(1, *map(ceil, totals.values()))),
            color=_colour("status", values),
            order="place:Q",
            tooltip=[
                alt.Tooltip(f"{period}:O", title=period_title),
                alt.Tooltip("status:N", title="Status"),
                alt.Tooltip(f"{what}:Q", title=title, format=","),
            ],
        ),
        _HEIGHT,
    )


_LABELLED = (1, 7)
"""The months that have labels, where there are too many for all."""


_MOST_LABELS = 4
"""Of days or weeks."""

_FEWEST_BARS = 14
"""There is room for so many days or weeks, however young the history: a bar has no card's width."""


def _months_between(first: date, last: date) -> list[date]:
    """Return the first days of all months, those of the first and the last too."""
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [date(number // 12, number % 12 + 1, 1) for number in numbers]


def _days_between(first: date, last: date, step: int) -> list[date]:
    """Return days up to the last, so many days apart."""
    number = max((last - first).days // step + 1, _FEWEST_BARS)
    return [last - timedelta(days=step * ago) for ago in reversed(range(number))]


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _height(field: str, title: str, most: int) -> alt.Y:
    """Return an axis that has a line at its top, which no bar passes."""
    step = next(step for step in (digit * 10**power for power in count() for digit in (1, 2, 5)) if step * 6 >= most)
    lines = list(range(0, most + step, step))
    return alt.Y(
        field,
        title=title,
        scale=alt.Scale(domain=[0, lines[-1]], nice=False),
        axis=alt.Axis(values=lines, format=",d"),
    )


def _state(row: Row, what: str) -> Row:
    status, reason = words(row["status"]), row["reason"]
    # a status alone would look like the sum of all its reasons
    why = "" if row["is_open"] else f": {words(reason).lower() if reason else 'no reason given'}"
    return {"name": f"{status}{why}", "status": status, what: row[what]}


def _ranking(rows: Sequence[Row], what: str, title: str, *details: alt.Tooltip, form: str = ",") -> Spec:
    """Return horizontal bars in the order of the rows, with their numbers beside them."""
    chart = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X(f"{what}:Q", axis=None, scale=alt.Scale(nice=False)),
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=230, labelPadding=8)),
        tooltip=[alt.Tooltip("name:N", title=" "), alt.Tooltip(f"{what}:Q", title=title, format=form), *details],
    )
    colour = _colour("status", rows, legend=False) if "status" in rows[0] else alt.value(_BLUE)
    bars = chart.mark_bar(cornerRadiusEnd=2, height={"band": 0.72}).encode(color=colour)
    numbers = chart.mark_text(align="left", dx=5, color="var(--label)").encode(text=alt.Text(f"{what}:Q", format=form))
    return _spec(bars + numbers, min(_HEIGHT + 50, 44 * len(rows)))


def _fields(rows: Sequence[Row]) -> Spec:
    most = max(row["fields"] for row in rows)
    values = [{**row, "direction": words(row["direction"]), "fields": _number(row["fields"])} for row in rows]
    chart = alt.Chart(alt.InlineData(values=values)).mark_bar(cornerRadiusEnd=1)
    return _spec(
        chart.encode(
            x=alt.X(
                "fields:O",
                title="Fields of a task",
                scale=alt.Scale(domain=[_number(number) for number in range(most + 1)]),
                axis=alt.Axis(labelAngle=0, labelPadding=10),
            ),
            xOffset="direction:N",
            y=_height("projects:Q", "Projects", max(row["projects"] for row in rows)),
            color=_colour("direction", values),
            tooltip=[
                alt.Tooltip("fields:O", title="Fields"),
                alt.Tooltip("direction:N", title="Direction"),
                alt.Tooltip("projects:Q", title="Projects", format=","),
            ],
        ),
        _HEIGHT,
    )


MOST_FIELDS = 15
"""Projects with so many fields, or more, are one bar."""


def _number(fields: int) -> str:
    return f"{fields}+" if fields == MOST_FIELDS else f"{fields}"


def _colour(column: str, rows: Sequence[Row], *, legend: bool = True) -> alt.Color:
    """Return the colours of what is there: the same thing has the same colour in all charts."""
    domain = _domain(column, rows)
    return alt.Color(
        f"{column}:N",
        title=None,
        scale=alt.Scale(domain=domain, range=[_COLOURS.get(name, _UNKNOWN) for name in domain]),
        legend=alt.Legend(orient="top", offset=12) if legend and domain != ["Bonuses"] else None,
    )


def _domain(column: str, rows: Sequence[Row]) -> list[str]:
    there = {row[column] for row in rows}
    return [name for name in _COLOURS if name in there] + sorted(there - {*_COLOURS})


def _spec(chart: alt.Chart | alt.LayerChart, height: int) -> Spec:
    """Return Vega-Lite as wide as its place on the page."""
    spec: Spec = (
        chart.properties(width="container", height=height)
        .configure(font=_FONT, background="transparent")
        .configure_view(stroke=None)
        .configure_axis(
            domain=False,
            ticks=False,
            gridColor="var(--line)",
            labelColor="var(--label)",
            labelFontSize=12,
            labelPadding=6,
            titleColor="var(--soft)",
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=10,
        )
        .configure_legend(labelColor="var(--label)", labelFontSize=12, symbolType="square")
        .configure_text(fontSize=12)
        .to_dict()
    )
    return spec
