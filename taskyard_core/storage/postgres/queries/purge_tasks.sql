-- Delete tasks with their attempts and idempotency keys.
WITH attempts AS (
    DELETE FROM taskyard.attempt WHERE task_id = ANY ($1::uuid[])
), keys AS (
    DELETE FROM taskyard.idempotency WHERE task_id = ANY ($1::uuid[])
)
DELETE FROM taskyard.task WHERE id = ANY ($1::uuid[]);
