SELECT
    id AS project_id,
    public_name AS project_name,
    status,
    created AS created_at,
    owner__id AS owner_id,
    assignments_issuing_type AS assignment_type,
    assignments_automerge_enabled AS automerge,
    max_active_assignments_count AS max_active_assignments,
    private_comment,
    valid_from,
    valid_after,
    valid_to,
    valid_to IS NULL AS is_current
FROM projects_history
