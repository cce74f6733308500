-- Which attempts these sessions ($1) run, started at least $2 seconds ago.
SELECT session, id, attempt, cancel_requested
FROM taskyard.task
WHERE session = ANY ($1::uuid[]) AND state = 'RUNNING' AND started_at < now() - make_interval(secs => $2);
