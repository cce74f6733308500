-- The tasks that a session runs, locked in id order; with all that sending them again needs, payloads only if $2.
SELECT id, attempt, session, lane, CASE WHEN $2 THEN payload ELSE '' END AS payload, timeout_seconds, failures, crashes, retry, traceparent,
    extract(epoch FROM now() - run_at)::float8 AS waited, cancel_requested
FROM taskyard.task
WHERE session = $1 AND state = 'RUNNING'
ORDER BY id
FOR UPDATE;
