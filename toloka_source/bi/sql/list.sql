SELECT
    {columns},
    -- an absence that is over has two rows where rows are only added
    item.id IN (
        SELECT id FROM gone_items WHERE resource = '{table}' GROUP BY id, gone_at HAVING max(back_at) IS NULL
    ) AS is_gone,
    package.loaded_at
FROM {table} AS item
LEFT JOIN (
    SELECT load_id, max(inserted_at) AS loaded_at FROM _dlt_loads GROUP BY load_id
) AS package ON package.load_id = item._dlt_load_id
