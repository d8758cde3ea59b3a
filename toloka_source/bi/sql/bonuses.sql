SELECT
    item.id AS bonus_id,
    item.user_id,
    item.amount,
    item.created AS created_at,
    item.assignment_id,
    item.pool_id,
    pool.project_id,
    project.public_name AS project_name,
    item.private_comment,
    -- an absence that is over has two rows where rows are only added
    item.id IN (
        SELECT id FROM gone_items WHERE resource = 'user_bonuses' GROUP BY id, gone_at HAVING max(back_at) IS NULL
    ) AS is_gone,
    package.loaded_at
FROM (
    -- an answer's id begins with its pool's, in hexadecimal digits
    SELECT
        id,
        user_id,
        amount,
        created,
        assignment_id,
        private_comment,
        _dlt_load_id,
        {pool_of_answer} AS pool_id
    FROM user_bonuses
) AS item
LEFT JOIN pools AS pool ON pool.id = item.pool_id
LEFT JOIN projects AS project ON project.id = pool.project_id
LEFT JOIN (
    SELECT load_id, max(inserted_at) AS loaded_at FROM _dlt_loads GROUP BY load_id
) AS package ON package.load_id = item._dlt_load_id
