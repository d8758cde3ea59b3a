SELECT
    item.id AS user_skill_id,
    item.user_id,
    item.skill_id,
    skill.name AS skill_name,
    coalesce(item.exact_value, item.value) AS value,
    item.created AS created_at,
    item.modified AS modified_at,
    -- an absence that is over has two rows where rows are only added
    item.id IN (
        SELECT id FROM gone_items WHERE resource = 'user_skills' GROUP BY id, gone_at HAVING max(back_at) IS NULL
    ) AS is_gone,
    package.loaded_at
FROM user_skills AS item
LEFT JOIN skills AS skill ON skill.id = item.skill_id
LEFT JOIN (
    SELECT load_id, max(inserted_at) AS loaded_at FROM _dlt_loads GROUP BY load_id
) AS package ON package.load_id = item._dlt_load_id
