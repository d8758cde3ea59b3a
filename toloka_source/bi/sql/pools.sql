SELECT
    item.id AS pool_id,
    item.private_name AS pool_name,
    item.project_id,
    project.public_name AS project_name,
    project.status AS project_status,
    item.status,
    item.status = 'OPEN' AS is_open,
    item.reward_per_assignment AS reward,
    item.created AS created_at,
    item.last_started AS last_started_at,
    item.last_stopped AS last_stopped_at,
    item.last_close_reason,
    item.will_expire AS will_expire_at,
    -- one that was stopped before it was last started, and isn't open, says nothing of that time
    CAST(
        CASE
            WHEN item.status = 'OPEN'
                THEN extract(epoch FROM greatest(now(), item.last_started))
                    - extract(epoch FROM item.last_started)
            WHEN item.last_stopped >= item.last_started
                THEN extract(epoch FROM item.last_stopped) - extract(epoch FROM item.last_started)
        END / 3600 AS float8
    ) AS open_hours,
    item.priority,
    item.auto_accept_solutions AS auto_accepts,
    item.may_contain_adult_content AS adult_content,
    item.owner__id AS owner_id,
    -- an absence that is over has two rows where rows are only added
    item.id IN (
        SELECT id FROM gone_items WHERE resource = 'pools' GROUP BY id, gone_at HAVING max(back_at) IS NULL
    ) AS is_gone,
    package.loaded_at
FROM pools AS item
LEFT JOIN projects AS project ON project.id = item.project_id
LEFT JOIN (
    SELECT load_id, max(inserted_at) AS loaded_at FROM _dlt_loads GROUP BY load_id
) AS package ON package.load_id = item._dlt_load_id
