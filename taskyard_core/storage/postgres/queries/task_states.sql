-- How far tasks have come; ids that no task has are left out.
SELECT id, state FROM taskyard.task WHERE id = ANY ($1::uuid[]);
