SELECT
    project.id AS project_id,
    project.public_name AS project_name,
    project.status,
    project.created AS created_at,
    project.owner__id AS owner_id,
    project.owner__company_id AS owner_company_id,
    project.owner__myself AS owned_by_me,
    project.assignments_issuing_type AS assignment_type,
    project.assignments_automerge_enabled AS automerge,
    project.max_active_assignments_count AS max_active_assignments,
    coalesce(len(list_distinct(json_keys(project.task_spec, '$.input_spec'))), 0) AS input_fields,
    coalesce(len(list_distinct(json_keys(project.task_spec, '$.output_spec'))), 0) AS output_fields,
    coalesce(list_contains(json_type(project.quality_control, '$.configs[*].rules[*]'), 'OBJECT'), false)
        AS has_quality_control,
    coalesce(json_array_length(project.localization_config, '$.additional_languages') > 0, false) AS has_translations,
    coalesce(project.assignments_issuing_type = 'MAP_SELECTOR', false) AS has_map,
    project.task_spec ->> '$.view_spec.type' AS interface_type,
    coalesce(training.trainings, 0) AS trainings,
    training.last_training_start,
    project.private_comment,
    -- an absence that is over has two rows where rows are only added
    project.id IN (
        SELECT id FROM gone_items WHERE resource = 'projects' GROUP BY id, gone_at HAVING max(back_at) IS NULL
    ) AS is_gone,
    package.loaded_at
FROM projects AS project
LEFT JOIN (
    SELECT project_id, count(*) AS trainings, max(last_started) AS last_training_start
    FROM trainings
    GROUP BY project_id
) AS training ON training.project_id = project.id
LEFT JOIN (
    SELECT load_id, max(inserted_at) AS loaded_at FROM _dlt_loads GROUP BY load_id
) AS package ON package.load_id = project._dlt_load_id
