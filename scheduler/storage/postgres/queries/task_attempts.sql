-- A task's runs, oldest first; the running one has no outcome yet.
SELECT task_id, attempt, session, worker, pod, dispatcher, started_at, finished_at, outcome, error
FROM taskyard.attempt
WHERE task_id = $1
UNION ALL
SELECT t.id, t.attempt, t.session, coalesce(s.worker, ''), coalesce(s.pod, ''), coalesce(s.dispatcher, ''),
       t.started_at, NULL, NULL, NULL
FROM taskyard.task t
LEFT JOIN taskyard.session s ON s.id = t.session
WHERE t.id = $1 AND t.state = 'RUNNING'
ORDER BY attempt;
