SELECT
    loaded_at,
    resource,
    kind,
    loaded_rows,
    new_rows,
    changed_rows,
    unchanged_rows,
    gone_rows,
    rejected_rows,
    requests,
    seconds,
    max(complete_until) OVER (
        PARTITION BY resource ORDER BY loaded_at ROWS UNBOUNDED PRECEDING
    ) AS data_until,
    max(CASE WHEN kind IN ('first', 're-scan') THEN complete_until END) OVER (
        PARTITION BY resource ORDER BY loaded_at ROWS UNBOUNDED PRECEDING
    ) AS full_read_at,
    load_id,
    pipeline,
    coalesce(status, 'ok') AS status,
    error
FROM _toloka_loads
