-- What outbox rows older than $1 seconds stand for, at most $2 rows: entries for the lanes.
-- state || '': by primary key, please. Else the planner may take task_queued, and skip through its lanes for each id.
WITH stale AS (
    SELECT id, task_ids FROM taskyard.outbox
    WHERE created_at < now() - make_interval(secs => $1::float8)
    ORDER BY id LIMIT $2::int
)
SELECT stale.id AS outbox_id, t.lane, t.id, t.attempt
FROM stale
LEFT JOIN LATERAL unnest(stale.task_ids) AS named (id) ON true
LEFT JOIN taskyard.task t ON t.id = named.id AND t.state || '' = 'QUEUED';
