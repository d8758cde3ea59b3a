"""The page's second tab: pools, bonuses, skills and restrictions, as far as they are loaded."""

from collections.abc import Iterator, Mapping

from toloka_source.bi.page_parts import Rows, card, in_digits, names, nothing_yet, table


def list_cards(data: Mapping[str, Rows]) -> Iterator[str]:
    """Yield the cards of those lists that there are rows of, or that are empty; none for lists that aren't loaded.

    Args:
        data: The rows of each query.
    """
    for name, title, about, nothing in (
        ("pool_states", "Pools by status", "and by why they were closed, the 12 most frequent", "No pools yet"),
        ("open_pools", "Pools that are open for the longest time", "the oldest start first", ""),
        ("bonus_months", "Bonuses by month", "US dollars, in the last three years", "No bonuses yet"),
        ("bonus_projects", "Bonuses by project", "US dollars, the 12 greatest", "No bonuses yet"),
        ("skills_held", "Skills held", "by how many Tolokers have them, the 12 most frequent", "No skills yet"),
        ("restrictions", "Restrictions in force", "by what Tolokers are kept away from", "No restriction is in force"),
    ):
        if name not in data:
            continue
        if name == "open_pools":
            content = _open_pools(data[name])
        else:
            content = f'<div class="chart" id="{name}"></div>' if data[name] else nothing_yet(nothing)
        yield card(title, about, content)


def _open_pools(rows: Rows) -> str:
    columns = (names(rows, what, f"{what}_id") for what in ("pool", "project"))
    rewards = ["\N{EN DASH}" if row["reward"] is None else f"${row['reward']:,.2f}" for row in rows]
    cells = list(zip(*columns, rewards, [in_digits(row["days"]) for row in rows], strict=True))
    return table(("Pool", "Project", "Pays", "Days"), cells, 2) if cells else nothing_yet("No pool is open")
