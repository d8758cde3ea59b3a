SELECT
    'projects' AS resource,
    project_id AS id,
    project_name AS name,
    'no quality control' AS finding,
    project_id,
    project_name,
    status AS project_status,
    owner_id,
    created_at
FROM {view projects} AS project
WHERE status = 'ACTIVE' AND NOT is_gone AND NOT has_quality_control
UNION ALL
SELECT
    'projects',
    project_id,
    project_name,
    'no training',
    project_id,
    project_name,
    status,
    owner_id,
    created_at
FROM {view projects} AS project
WHERE
    status = 'ACTIVE' AND NOT is_gone AND trainings = 0
    -- as long as the trainings weren't loaded, nothing is known of them
    AND (
        EXISTS (SELECT 1 FROM trainings)
        OR EXISTS (SELECT 1 FROM _toloka_loads WHERE resource = 'trainings' AND complete_until IS NOT NULL)
    )
UNION ALL
SELECT
    'trainings',
    training_id,
    training_name,
    'open for 90 days or more',
    project_id,
    project_name,
    project_status,
    owner_id,
    created_at
FROM {view trainings} AS training
WHERE is_open AND NOT is_gone AND days_since_last_start >= 90
