"""What the page asks the views for: each query adds up in the database, so the page stays small."""

from collections.abc import Collection, Mapping

_MONTHS = """
    SELECT
        CAST(date_trunc('month', {time} AT TIME ZONE 'UTC') AS date) AS month,
        left(status, 60) AS status,
        count(*) AS {view}
    FROM toloka_bi.{view}
    WHERE date_trunc('month', {time} AT TIME ZONE 'UTC')
        > date_trunc('month', (SELECT max({time}) FROM toloka_bi.{view}) AT TIME ZONE 'UTC') - INTERVAL '36 months'
    GROUP BY 1, 2 ORDER BY 1, 2
"""

_KNOWN = """
    WITH known AS (
        SELECT resource, min(first) AT TIME ZONE 'UTC' AS since, max(last) AT TIME ZONE 'UTC' AS until
        FROM (
            SELECT 'projects' AS resource, valid_from AS first, valid_from AS last FROM toloka_bi.project_versions
            UNION ALL
            SELECT 'trainings', valid_from, valid_from FROM toloka_bi.training_versions
            UNION ALL
            SELECT resource, NULL, data_until FROM toloka_bi.loads
        ) AS moments
        GROUP BY resource
    )
"""
"""Since when each list has a history, and up to when it is known."""

_QUERIES = {
    "project_numbers": """
        SELECT
            count(*) AS projects,
            count(CASE WHEN status = 'ACTIVE' THEN 1 END) AS active,
            count(CASE WHEN has_quality_control THEN 1 END) AS controlled
        FROM toloka_bi.projects
    """,
    "training_numbers": """
        SELECT
            count(*) AS trainings,
            count(CASE WHEN is_open THEN 1 END) AS open,
            count(DISTINCT CASE WHEN is_open THEN project_id END) AS open_projects,
            count(CASE WHEN last_started_at IS NULL THEN 1 END) AS never_started
        FROM toloka_bi.trainings
    """,
    "project_months": _MONTHS.format(view="projects", time="created_at"),
    "training_months": _MONTHS.format(view="trainings", time="last_started_at"),
    "training_states": """
        SELECT
            left(status, 60) AS status,
            is_open,
            CASE WHEN NOT is_open THEN left(last_close_reason, 60) END AS reason,
            count(*) AS trainings
        FROM toloka_bi.trainings GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 3 LIMIT 12
    """,
    "stalest": """
        SELECT
            training_id, left(training_name, 120) AS training, project_id, left(project_name, 120) AS project,
            days_since_last_start AS days
        FROM toloka_bi.trainings WHERE is_open ORDER BY last_started_at NULLS LAST, training_id LIMIT 7
    """,
    "fields": """
        SELECT direction, least(fields, 15) AS fields, count(*) AS projects
        FROM (
            SELECT 'input' AS direction, input_fields AS fields FROM toloka_bi.projects
            UNION ALL
            SELECT 'output', output_fields FROM toloka_bi.projects
        ) AS of_each
        GROUP BY 1, 2 ORDER BY 1, 2
    """,
    "rules": """
        SELECT left(collector, 60) AS collector, count(*) AS rules, count(DISTINCT project_id) AS projects
        FROM toloka_bi.quality_rules GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 12
    """,
    "setup_health": """
        SELECT resource, finding, id, left(name, 120) AS name, objects
        FROM (
            SELECT
                resource, finding, id, name, count(*) OVER (PARTITION BY resource, finding) AS objects,
                row_number() OVER (PARTITION BY resource, finding ORDER BY created_at DESC NULLS LAST, id) AS place
            FROM toloka_bi.setup_health
        ) AS ranked
        WHERE place <= 3 ORDER BY resource, finding, place
    """,
    "history": f"{_KNOWN} SELECT min(since) AS since, max(until) AS until FROM known",  # noqa: S608 - ours
    # what was opened and closed up to each day, added up
    "open_days": f"""
        {_KNOWN}, days AS (
            SELECT CAST(until AS date) - CAST(ago AS integer) AS day
            FROM known, generate_series(0, 89) AS past(ago)
            WHERE resource = 'trainings' AND CAST(until AS date) - CAST(ago AS integer) >= CAST(since AS date)
        ), changes AS (
            SELECT CAST(moment AT TIME ZONE 'UTC' AS date) AS changed_on, sum(opened) AS opened
            FROM (
                SELECT valid_from AS moment, 1 AS opened FROM toloka_bi.training_versions WHERE is_open
                UNION ALL
                SELECT valid_to, -1 FROM toloka_bi.training_versions WHERE is_open AND NOT is_current
            ) AS each_change
            GROUP BY 1
        )
        SELECT day, 'OPEN' AS status, CAST(coalesce(sum(opened), 0) AS bigint) AS trainings
        FROM days LEFT JOIN changes ON changed_on <= day GROUP BY day ORDER BY day
    """,  # noqa: S608 - ours
    "change_weeks": f"""
        {_KNOWN}
        SELECT
            CAST(date_trunc('week', seen_at AT TIME ZONE 'UTC') AS date) AS week,
            left(to_status, 60) AS status,
            count(*) AS changes
        FROM toloka_bi.status_changes
        WHERE date_trunc('week', seen_at AT TIME ZONE 'UTC')
            > date_trunc('week', (SELECT max(until) FROM known)) - INTERVAL '26 weeks'
        GROUP BY 1, 2 ORDER BY 1, 2
    """,  # noqa: S608 - ours
    "latest_changes": """
        SELECT
            resource, id, left(name, 120) AS name, left(from_status, 60) AS from_status,
            left(to_status, 60) AS to_status, seen_after AT TIME ZONE 'UTC' AS seen_after,
            status_changes.seen_at AT TIME ZONE 'UTC' AS seen_at
        FROM toloka_bi.status_changes ORDER BY status_changes.seen_at DESC, resource, id LIMIT 10
    """,
    "loads": """
        SELECT
            loaded_at AT TIME ZONE 'UTC' AS loaded_at, resource, kind, new_rows, changed_rows, unchanged_rows,
            gone_rows, rejected_rows, seconds, data_until AT TIME ZONE 'UTC' AS data_until,
            full_read_at AT TIME ZONE 'UTC' AS full_read_at
        FROM toloka_bi.loads WHERE status = 'ok' ORDER BY loads.loaded_at DESC, resource LIMIT 12
    """,
}

_LIST_QUERIES: Mapping[str, Mapping[str, str]] = {
    "pools": {
        "pool_states": """
            SELECT
                left(status, 60) AS status,
                is_open,
                CASE WHEN NOT is_open THEN left(last_close_reason, 60) END AS reason,
                count(*) AS pools
            FROM toloka_bi.pools GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 3 LIMIT 12
        """,
        "open_pools": """
            SELECT
                pool_id, left(pool_name, 120) AS pool, project_id, left(project_name, 120) AS project,
                CAST(reward AS float8) AS reward, CAST(trunc(open_hours / 24) AS bigint) AS days
            FROM toloka_bi.pools WHERE is_open AND NOT is_gone ORDER BY last_started_at NULLS LAST, pool_id LIMIT 7
        """,
    },
    "bonuses": {
        "bonus_months": """
            SELECT
                CAST(date_trunc('month', created_at AT TIME ZONE 'UTC') AS date) AS month,
                CAST(sum(amount) AS float8) AS dollars
            FROM toloka_bi.bonuses
            WHERE date_trunc('month', created_at AT TIME ZONE 'UTC')
                > date_trunc('month', (SELECT max(created_at) FROM toloka_bi.bonuses) AT TIME ZONE 'UTC')
                    - INTERVAL '36 months'
            GROUP BY 1 ORDER BY 1
        """,
        "bonus_projects": """
            SELECT project_id, left(max(project_name), 60) AS project, CAST(sum(amount) AS float8) AS dollars
            FROM toloka_bi.bonuses GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 12
        """,
    },
    "skills_held": {
        "skills_held": """
            SELECT skill_id, left(max(skill_name), 60) AS skill, count(DISTINCT user_id) AS tolokers
            FROM toloka_bi.skills_held WHERE NOT is_gone GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 12
        """,
    },
    "restrictions": {
        "restrictions": """
            SELECT left(scope, 60) AS scope, count(*) AS restrictions, count(DISTINCT user_id) AS tolokers
            FROM toloka_bi.restrictions WHERE is_in_force GROUP BY 1 ORDER BY 2 DESC, 1
        """,
    },
}


def queries(views: Collection[str]) -> dict[str, str]:
    """Return the queries of the page, by the names of what they are for.

    Args:
        views: The names of the views that are there.
    """
    of_lists = [queries for view, queries in _LIST_QUERIES.items() if view in views]
    return {**_QUERIES, **{name: query for queries in of_lists for name, query in queries.items()}}
