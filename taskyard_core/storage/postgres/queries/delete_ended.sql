-- Delete tasks ($1) with their attempts and idempotency keys, as far as they are still over for longer than they are
-- kept ($2 seconds, FAILED ones $3): one may have been redriven meanwhile.
WITH ended AS MATERIALIZED (
    SELECT id FROM taskyard.task
    WHERE id = ANY ($1::uuid[])
        AND finished_at < now() - make_interval(secs => CASE WHEN state = 'FAILED' THEN $3::float8 ELSE $2::float8 END)
    ORDER BY id
    FOR UPDATE SKIP LOCKED
), attempts AS (
    DELETE FROM taskyard.attempt a USING ended WHERE a.task_id = ended.id
), keys AS (
    DELETE FROM taskyard.idempotency i USING ended WHERE i.task_id = ended.id
)
DELETE FROM taskyard.task t USING ended WHERE t.id = ended.id
RETURNING t.id;
