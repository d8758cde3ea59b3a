SELECT
    resource,
    id,
    name,
    from_status,
    to_status,
    -- one that was gone in between has no moment at which it was still seen
    coalesce(valid_after, begun_before) AS seen_after,
    valid_from AS seen_at
FROM (
    SELECT
        version.*,
        status AS to_status,
        lag(status) OVER versions AS from_status,
        lag(valid_from) OVER versions AS begun_before
    FROM (
        SELECT 'projects' AS resource, id, public_name AS name, status, valid_from, valid_after FROM projects_history
        UNION ALL
        SELECT 'trainings', id, private_name, status, valid_from, valid_after FROM trainings_history
    ) AS version
    WINDOW versions AS (PARTITION BY resource, id ORDER BY valid_from)
) AS change
WHERE begun_before IS NOT NULL AND from_status IS DISTINCT FROM to_status
