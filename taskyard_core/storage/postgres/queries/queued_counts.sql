-- QUEUED tasks with an id below $1, by lane. The id is compared in the count, so that no plan walks the primary key
-- through all of history: task_queued alone answers.
SELECT lane, count(*) FILTER (WHERE id < $1::uuid) AS tasks
FROM taskyard.task
WHERE state = 'QUEUED'
GROUP BY lane
HAVING count(*) FILTER (WHERE id < $1::uuid) > 0;
