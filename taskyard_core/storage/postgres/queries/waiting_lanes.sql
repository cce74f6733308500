-- How many tasks wait, by lane, of at most $1 lanes. QUEUED ones are counted in task_queued alone.
SELECT lane, sum(tasks)::bigint AS tasks
FROM (SELECT lane, count(*) AS tasks FROM taskyard.task WHERE state = 'QUEUED' GROUP BY lane
      UNION ALL
      SELECT lane, count(*) FROM taskyard.task WHERE state = 'SCHEDULED' GROUP BY lane) AS waiting
GROUP BY lane
LIMIT $1::int;
