SELECT
    id AS training_id,
    private_name AS training_name,
    project_id,
    status,
    status = 'OPEN' AS is_open,
    created AS created_at,
    last_started AS last_started_at,
    last_stopped AS last_stopped_at,
    last_close_reason,
    owner__id AS owner_id,
    valid_from,
    valid_after,
    valid_to,
    valid_to IS NULL AS is_current
FROM trainings_history
