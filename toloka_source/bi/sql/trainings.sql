SELECT
    training.id AS training_id,
    training.private_name AS training_name,
    training.project_id,
    project.public_name AS project_name,
    project.status AS project_status,
    training.status,
    training.status = 'OPEN' AS is_open,
    training.created AS created_at,
    training.last_started AS last_started_at,
    training.last_stopped AS last_stopped_at,
    training.last_close_reason,
    CAST(trunc((extract(epoch FROM now()) - extract(epoch FROM training.last_started)) / 86400) AS bigint)
        AS days_since_last_start,
    -- one that was stopped before it was last started, and isn't open, says nothing of that time
    CAST(
        CASE
            WHEN training.status = 'OPEN'
                THEN extract(epoch FROM greatest(now(), training.last_started))
                    - extract(epoch FROM training.last_started)
            WHEN training.last_stopped >= training.last_started
                THEN extract(epoch FROM training.last_stopped) - extract(epoch FROM training.last_started)
        END / 3600 AS float8
    ) AS open_hours,
    training.assignment_max_duration_seconds,
    training.training_tasks_in_task_suite_count AS tasks_per_suite,
    training.task_suites_required_to_pass AS suites_to_pass,
    training.retry_training_after_days AS retry_after_days,
    training.mix_tasks_in_creation_order AS in_upload_order,
    training.shuffle_tasks_in_task_suite AS shuffles_tasks,
    training.may_contain_adult_content AS adult_content,
    training.inherited_instructions AS inherits_instructions,
    training.owner__id AS owner_id,
    -- an absence that is over has two rows where rows are only added
    training.id IN (
        SELECT id FROM gone_items WHERE resource = 'trainings' GROUP BY id, gone_at HAVING max(back_at) IS NULL
    ) AS is_gone,
    package.loaded_at
FROM trainings AS training
LEFT JOIN projects AS project ON project.id = training.project_id
LEFT JOIN (
    SELECT load_id, max(inserted_at) AS loaded_at FROM _dlt_loads GROUP BY load_id
) AS package ON package.load_id = training._dlt_load_id
