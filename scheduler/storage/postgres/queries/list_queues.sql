-- Queues with their counts by state, from partial indexes alone: terminal tasks that are not FAILED are never read.
-- $1: a namespace, or null for all.
WITH lane_counts AS MATERIALIZED (
    SELECT lane, count(*) AS tasks FROM taskyard.task WHERE state = 'QUEUED' GROUP BY lane
), lanes AS (
    SELECT split_part(c.lane, '/', 1) AS namespace, split_part(c.lane, '/', 2) AS queue, c.tasks, head.oldest
    FROM lane_counts c
    -- A lane is served by id, but a retried task's run_at is newer than its id: the oldest is sought among the first.
    CROSS JOIN LATERAL (
        SELECT min(least(greatest(first.run_at, 'epoch'), now())) AS oldest
        FROM (SELECT t.run_at FROM taskyard.task t
              WHERE t.state = 'QUEUED' AND t.lane = c.lane ORDER BY t.id LIMIT 100) AS first
    ) AS head
), counts AS (
    SELECT namespace, queue, 'QUEUED' AS state, sum(tasks) AS tasks, min(oldest) AS oldest FROM lanes GROUP BY 1, 2
    UNION ALL
    SELECT namespace, queue, state, count(*), NULL FROM taskyard.task WHERE state = 'SCHEDULED' GROUP BY 1, 2, 3
    UNION ALL
    SELECT namespace, queue, state, count(*), NULL FROM taskyard.task WHERE state = 'RUNNING' GROUP BY 1, 2, 3
    UNION ALL
    SELECT namespace, queue, 'FAILED', count(*), NULL FROM taskyard.task WHERE state = 'FAILED' GROUP BY 1, 2
), totals AS (
    SELECT namespace, queue AS name,
           sum(tasks) FILTER (WHERE state = 'SCHEDULED') AS scheduled,
           sum(tasks) FILTER (WHERE state = 'QUEUED') AS queued,
           sum(tasks) FILTER (WHERE state = 'RUNNING') AS running,
           sum(tasks) FILTER (WHERE state = 'FAILED') AS failed,
           min(oldest) AS oldest
    FROM counts GROUP BY 1, 2
)
SELECT namespace, name, coalesce(t.scheduled, 0)::bigint AS scheduled, coalesce(t.queued, 0)::bigint AS queued,
       coalesce(t.running, 0)::bigint AS running, coalesce(t.failed, 0)::bigint AS failed,
       CASE WHEN t.oldest IS NOT NULL THEN greatest(extract(epoch FROM now() - t.oldest), 0)::float8 END AS oldest_age,
       q.retry, coalesce(q.max_backlog, 0) AS max_backlog
FROM taskyard.queue q
FULL JOIN totals t USING (namespace, name)
WHERE $1::text IS NULL OR namespace = $1
ORDER BY namespace, name;
