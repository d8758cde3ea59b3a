SELECT
    project.id AS project_id,
    project.public_name AS project_name,
    project.status AS project_status,
    config.place AS config_number,
    rule.place AS rule_number,
    config.value #>> '{collector_config,type}' AS collector,
    (
        SELECT
            string_agg(
                nullif(
                    concat_ws(
                        ' ',
                        term.value ->> 'key',
                        CASE term.value ->> 'operator'
                            WHEN 'EQ' THEN '='
                            WHEN 'NE' THEN '!='
                            WHEN 'GT' THEN '>'
                            WHEN 'GTE' THEN '>='
                            WHEN 'LT' THEN '<'
                            WHEN 'LTE' THEN '<='
                            ELSE term.value ->> 'operator'
                        END,
                        term.value ->> 'value'
                    ),
                    ''
                ),
                ' and ' ORDER BY term.place
            )
        FROM jsonb_path_query(rule.value, 'strict $.conditions[*]', '{}', true)
            WITH ORDINALITY AS term (value, place)
    ) AS condition,
    rule.value #>> '{action,type}' AS action,
    nullif(rule.value #>> '{action,parameters}', '{}') AS parameters,
    nullif(config.value #>> '{collector_config,parameters}', '{}') AS collector_parameters
FROM projects AS project,
    LATERAL jsonb_path_query(project.quality_control, 'strict $.configs[*]', '{}', true)
        WITH ORDINALITY AS config (value, place),
    LATERAL jsonb_path_query(config.value, 'strict $.rules[*]', '{}', true)
        WITH ORDINALITY AS rule (value, place)
WHERE jsonb_typeof(rule.value) = 'object'
