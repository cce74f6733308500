-- Of the $1 fullest lanes what waits (labels is null), and of all lanes what runs, by the labels of the workers that it runs
-- on. Both are of one moment, so a task that is claimed meanwhile is in one of them. Partial indexes answer: task_queued
-- alone, and task_running for each live session. A draining worker takes nothing new: what it runs needs no worker to stay.
(SELECT lane, count(*) AS tasks, NULL::jsonb AS labels
 FROM taskyard.task
 WHERE state = 'QUEUED'
 GROUP BY lane
 ORDER BY tasks DESC, lane
 LIMIT $1::int)
UNION ALL
SELECT t.lane, count(*), s.labels
FROM taskyard.session s
JOIN taskyard.task t ON t.session = s.id AND t.state = 'RUNNING'
WHERE s.live AND NOT s.draining
GROUP BY t.lane, s.labels;
