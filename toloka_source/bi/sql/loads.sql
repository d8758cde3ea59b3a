SELECT
    loaded_at,
    project_rows,
    training_rows,
    rejected_rows,
    seconds,
    -- a run may have loaded one of the tables alone; a table that was never loaded doesn't count
    least(max(projects_until) OVER so_far, max(trainings_until) OVER so_far) AS data_until,
    load_id,
    pipeline
FROM _toloka_loads
WINDOW so_far AS (ORDER BY loaded_at ROWS UNBOUNDED PRECEDING)
