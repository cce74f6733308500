-- How many tasks wait in each queue, and how many may.
WITH waiting AS (
    SELECT split_part(lane, '/', 1) AS namespace, split_part(lane, '/', 2) AS name, sum(tasks) AS tasks
    FROM (SELECT lane, count(*) AS tasks FROM taskyard.task WHERE state = 'QUEUED' GROUP BY lane) AS lanes
    GROUP BY 1, 2
    UNION ALL
    SELECT namespace, queue, count(*) FROM taskyard.task WHERE state = 'SCHEDULED' GROUP BY 1, 2
), totals AS (
    SELECT namespace, name, sum(tasks) AS tasks FROM waiting GROUP BY 1, 2
)
SELECT namespace, name, coalesce(t.tasks, 0)::bigint AS waiting, coalesce(q.max_backlog, 0) AS max_backlog
FROM taskyard.queue q
FULL JOIN totals t USING (namespace, name);
