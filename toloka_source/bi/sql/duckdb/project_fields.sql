SELECT
    project_id,
    project_name,
    project_status,
    direction,
    field_name,
    lower(field ->> '$.type') AS field_type,
    CASE field ->> '$.required' WHEN 'true' THEN true WHEN 'false' THEN false END AS required,
    CASE field ->> '$.hidden' WHEN 'true' THEN true WHEN 'false' THEN false END AS hidden,
    CASE json_type(field, '$.allowed_values')
        WHEN 'ARRAY' THEN nullif(array_to_string(field ->> '$.allowed_values[*]', ', '), '')
        ELSE field ->> '$.allowed_values'
    END AS allowed_values
FROM (
    SELECT
        * EXCLUDE (field_names, fields),
        unnest(field_names) AS field_name,
        unnest(fields) AS field,
        -- of a name that is there twice the last one counts
        unnest(
            CASE
                WHEN len(list_distinct(field_names)) = len(field_names) THEN list_transform(field_names, lambda _: true)
                ELSE list_transform(
                    field_names, lambda name, place: NOT list_contains(field_names[place + 1:], name)
                )
            END
        ) AS counts
    FROM (
        SELECT
            id AS project_id,
            public_name AS project_name,
            status AS project_status,
            unnest(['input', 'output']) AS direction,
            unnest([json_keys(task_spec, '$.input_spec'), json_keys(task_spec, '$.output_spec')]) AS field_names,
            unnest([json_extract(task_spec, '$.input_spec.*'), json_extract(task_spec, '$.output_spec.*')]) AS fields
        FROM projects
    )
)
WHERE counts
