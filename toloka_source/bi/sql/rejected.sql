SELECT
    resource,
    trim(id, '"') AS id,  -- the table has it as JSON
    field,
    reason,
    rejected_at
FROM rejected_items
