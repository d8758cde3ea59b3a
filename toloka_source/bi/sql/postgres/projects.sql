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
    (
        SELECT count(*)
        FROM jsonb_object_keys(CASE jsonb_typeof(part.input_spec) WHEN 'object' THEN part.input_spec END)
    ) AS input_fields,
    (
        SELECT count(*)
        FROM jsonb_object_keys(CASE jsonb_typeof(part.output_spec) WHEN 'object' THEN part.output_spec END)
    ) AS output_fields,
    coalesce(
        jsonb_path_exists(
            project.quality_control, 'strict $.configs[*] ? (exists(@.rules[*] ? (@.type() == "object")))', '{}', true
        ),
        false
    ) AS has_quality_control,
    coalesce(
        jsonb_path_exists(project.localization_config, 'strict $.additional_languages[*]', '{}', true), false
    ) AS has_translations,
    coalesce(project.assignments_issuing_type = 'MAP_SELECTOR', false) AS has_map,
    project.task_spec #>> '{view_spec,type}' AS interface_type,
    coalesce(training.trainings, 0) AS trainings,
    training.last_training_start,
    project.private_comment,
    -- an absence that is over has two rows where rows are only added
    project.id IN (
        SELECT id FROM gone_items WHERE resource = 'projects' GROUP BY id, gone_at HAVING max(back_at) IS NULL
    ) AS is_gone,
    package.loaded_at
FROM projects AS project
-- OFFSET 0: so that each part is taken out once
CROSS JOIN LATERAL (
    SELECT project.task_spec -> 'input_spec' AS input_spec, project.task_spec -> 'output_spec' AS output_spec OFFSET 0
) AS part
LEFT JOIN (
    SELECT project_id, count(*) AS trainings, max(last_started) AS last_training_start
    FROM trainings
    GROUP BY project_id
) AS training ON training.project_id = project.id
LEFT JOIN (
    SELECT load_id, max(inserted_at) AS loaded_at FROM _dlt_loads GROUP BY load_id
) AS package ON package.load_id = project._dlt_load_id
