-- Queues with their counts by state, from partial indexes alone: terminal tasks that are not FAILED are never read.
-- $1: a namespace, or null for all. $2, $3: the queue (namespace and name) that the page begins after, or null. $4: a
-- queue's name, or null for all. $5: how many at most. $6: whether those with most tasks come first, else it goes by name.
-- Only here does SQL take the name of a lane apart: of a QUEUED task its index, which is not read beyond, has no more.
WITH queued AS (
    SELECT split_part(c.lane, '/', 1) AS namespace, split_part(c.lane, '/', 2) AS queue, sum(c.tasks) AS tasks,
           array_agg(c.lane) AS lanes
    FROM (SELECT lane, count(*) AS tasks FROM taskyard.task WHERE state = 'QUEUED' GROUP BY lane) AS c
    GROUP BY 1, 2
), counts AS (
    SELECT namespace, queue, 'QUEUED' AS state, tasks, lanes FROM queued
    UNION ALL
    SELECT namespace, queue, state, count(*), NULL FROM taskyard.task WHERE state = 'SCHEDULED' GROUP BY 1, 2, 3
    UNION ALL
    SELECT namespace, queue, state, count(*), NULL FROM taskyard.task WHERE state = 'RUNNING' GROUP BY 1, 2, 3
    UNION ALL
    SELECT namespace, queue, 'FAILED', count(*), NULL FROM taskyard.task WHERE state = 'FAILED' GROUP BY 1, 2
), totals AS (
    SELECT namespace, queue AS name, sum(tasks) AS tasks, max(lanes) AS lanes,
           sum(tasks) FILTER (WHERE state = 'SCHEDULED') AS scheduled,
           sum(tasks) FILTER (WHERE state = 'QUEUED') AS queued,
           sum(tasks) FILTER (WHERE state = 'RUNNING') AS running,
           sum(tasks) FILTER (WHERE state = 'FAILED') AS failed
    FROM counts GROUP BY 1, 2
), page AS MATERIALIZED (
    SELECT namespace, name, t.scheduled, t.queued, t.running, t.failed, t.lanes, q.retry, q.max_backlog,
           CASE WHEN $6::boolean THEN coalesce(t.tasks, 0) END AS fullness
    FROM taskyard.queue q
    FULL JOIN totals t USING (namespace, name)
    WHERE ($1::text IS NULL OR namespace = $1)
        AND ($2::text IS NULL OR (namespace, name) > ($2, $3::text))
        AND ($4::text IS NULL OR name = $4)
    ORDER BY fullness DESC, namespace, name
    LIMIT $5::int
)
SELECT namespace, name, coalesce(scheduled, 0)::bigint AS scheduled, coalesce(queued, 0)::bigint AS queued,
       coalesce(running, 0)::bigint AS running, coalesce(failed, 0)::bigint AS failed,
       CASE WHEN oldest IS NOT NULL THEN greatest(extract(epoch FROM now() - oldest), 0)::float8 END AS oldest_age,
       retry, coalesce(max_backlog, 0) AS max_backlog
FROM page
-- A lane is served by id, but a retried task's run_at is newer than its id: the oldest is sought among the first.
CROSS JOIN LATERAL (
    SELECT min(least(greatest(first.run_at, 'epoch'), now())) AS oldest
    FROM unnest(page.lanes) AS waiting (lane)
    CROSS JOIN LATERAL (
        SELECT t.run_at FROM taskyard.task t
        WHERE t.state = 'QUEUED' AND t.lane = waiting.lane ORDER BY t.id LIMIT 100
    ) AS first
) AS head
ORDER BY fullness DESC, namespace, name;
