-- The lanes that hold QUEUED tasks, after lane $1, at most $2: a loose scan of task_queued, one index descent per lane.
WITH RECURSIVE found AS (
    (SELECT lane, 1 AS number FROM taskyard.task WHERE state = 'QUEUED' AND lane > $1::text ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT t.lane FROM taskyard.task t WHERE t.state = 'QUEUED' AND t.lane > found.lane ORDER BY t.lane LIMIT 1),
           found.number + 1
    FROM found
    WHERE found.lane IS NOT NULL AND found.number < $2::int
)
SELECT lane FROM found WHERE lane IS NOT NULL;
