SELECT
    restriction_id,
    user_id,
    scope,
    NOT is_gone AND coalesce(will_expire_at > now(), true) AS is_in_force,
    project_id,
    project_name,
    pool_id,
    pool_name,
    created_at,
    will_expire_at,
    private_comment,
    is_gone,
    loaded_at
FROM (
    SELECT
        item.id AS restriction_id,
        item.user_id,
        item.scope,
        item.project_id,
        project.public_name AS project_name,
        item.pool_id,
        pool.private_name AS pool_name,
        item.created AS created_at,
        item.will_expire AS will_expire_at,
        item.private_comment,
        -- an absence that is over has two rows where rows are only added
        item.id IN (
            SELECT id FROM gone_items WHERE resource = 'user_restrictions' GROUP BY id, gone_at HAVING max(back_at) IS NULL
        ) AS is_gone,
        package.loaded_at
    FROM user_restrictions AS item
    LEFT JOIN projects AS project ON project.id = item.project_id
    LEFT JOIN pools AS pool ON pool.id = item.pool_id
    LEFT JOIN (
        SELECT load_id, max(inserted_at) AS loaded_at FROM _dlt_loads GROUP BY load_id
    ) AS package ON package.load_id = item._dlt_load_id
) AS restriction
