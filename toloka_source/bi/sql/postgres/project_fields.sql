SELECT
    project.id AS project_id,
    project.public_name AS project_name,
    project.status AS project_status,
    part.direction,
    field.key AS field_name,
    lower(field.value ->> 'type') AS field_type,
    CASE field.value ->> 'required' WHEN 'true' THEN true WHEN 'false' THEN false END AS required,
    CASE field.value ->> 'hidden' WHEN 'true' THEN true WHEN 'false' THEN false END AS hidden,
    CASE jsonb_typeof(field.value -> 'allowed_values')
        WHEN 'array'
            THEN nullif(array_to_string(ARRAY(SELECT jsonb_array_elements_text(field.value -> 'allowed_values')), ', '), '')
        ELSE field.value ->> 'allowed_values'
    END AS allowed_values
FROM projects AS project,
    LATERAL (
        VALUES ('input', project.task_spec -> 'input_spec'), ('output', project.task_spec -> 'output_spec')
    ) AS part (direction, spec),
    LATERAL jsonb_each(CASE jsonb_typeof(part.spec) WHEN 'object' THEN part.spec END) AS field
