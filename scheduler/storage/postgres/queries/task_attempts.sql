-- A task's runs, oldest first; the running one has no outcome yet. Times are within the calendar,
-- whatever somebody wrote there.
SELECT task_id, attempt, session, worker, pod, dispatcher,
       greatest(least(started_at, '9999-12-31Z'), '0001-01-01Z') AS started_at,
       greatest(least(finished_at, '9999-12-31Z'), '0001-01-01Z') AS finished_at, outcome, error
FROM taskyard.attempt
WHERE task_id = $1
UNION ALL
SELECT t.id, t.attempt, t.session, coalesce(s.worker, ''), coalesce(s.pod, ''), coalesce(s.dispatcher, ''),
       greatest(least(t.started_at, '9999-12-31Z'), '0001-01-01Z'), NULL, NULL, NULL
FROM taskyard.task t
LEFT JOIN taskyard.session s ON s.id = t.session
WHERE t.id = $1 AND t.state = 'RUNNING'
ORDER BY attempt;
