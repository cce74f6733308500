-- The lanes that hold QUEUED tasks: a loose scan of task_queued, one index descent per lane.
WITH RECURSIVE found AS (
    (SELECT lane FROM taskyard.task WHERE state = 'QUEUED' ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT t.lane FROM taskyard.task t WHERE t.state = 'QUEUED' AND t.lane > found.lane ORDER BY t.lane LIMIT 1)
    FROM found
    WHERE found.lane IS NOT NULL
)
SELECT lane FROM found WHERE lane IS NOT NULL;
