SELECT
    project_id,
    project_name,
    project_status,
    config_number,
    rule_number,
    config ->> '$.collector_config.type' AS collector,
    nullif(
        array_to_string(
            list_transform(
                json_extract(rule, '$.conditions[*]'),
                lambda term: nullif(
                    concat_ws(
                        ' ',
                        term ->> '$.key',
                        CASE term ->> '$.operator'
                            WHEN 'EQ' THEN '='
                            WHEN 'NE' THEN '!='
                            WHEN 'GT' THEN '>'
                            WHEN 'GTE' THEN '>='
                            WHEN 'LT' THEN '<'
                            WHEN 'LTE' THEN '<='
                            ELSE term ->> '$.operator'
                        END,
                        term ->> '$.value'
                    ),
                    ''
                )
            ),
            ' and '
        ),
        ''
    ) AS condition,
    rule ->> '$.action.type' AS action,
    nullif(rule ->> '$.action.parameters', '{}') AS parameters,
    nullif(config ->> '$.collector_config.parameters', '{}') AS collector_parameters
FROM (
    SELECT
        *,
        unnest(json_extract(config, '$.rules[*]')) AS rule,
        generate_subscripts(json_extract(config, '$.rules[*]'), 1) AS rule_number
    FROM (
        SELECT
            id AS project_id,
            public_name AS project_name,
            status AS project_status,
            unnest(json_extract(quality_control, '$.configs[*]')) AS config,
            generate_subscripts(json_extract(quality_control, '$.configs[*]'), 1) AS config_number
        FROM projects
    )
)
WHERE json_type(rule) = 'OBJECT'
