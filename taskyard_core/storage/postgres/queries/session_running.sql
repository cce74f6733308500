-- The tasks that a session runs, locked in id order; with all that sending them again needs,
-- as a claim has it, payloads only if $2.
SELECT id, attempt, session, lane,
    CASE WHEN NOT $2 THEN '' WHEN octet_length(payload) <= 262144 THEN payload END AS payload, timeout_seconds,
    failures, crashes, retry, CASE WHEN length(traceparent) <= 128 THEN traceparent END AS traceparent,
    CASE WHEN run_at > 'epoch' AND run_at < now() THEN extract(epoch FROM now() - run_at)::float8 ELSE 0 END AS waited,
    cancel_requested
FROM taskyard.task
WHERE session = $1 AND state = 'RUNNING'
ORDER BY id
FOR UPDATE;
