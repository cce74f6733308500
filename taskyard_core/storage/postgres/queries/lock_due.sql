-- SCHEDULED tasks whose run_at has come, longest due first, at most $1, held until the transaction ends. What somebody
-- else holds is left out: it is being cancelled, and the next page looks again.
SELECT id, state, attempt, failures, crashes, cancel_requested, retry, session, lane, traceparent
FROM taskyard.task
WHERE state = 'SCHEDULED' AND run_at <= now()
ORDER BY run_at
LIMIT $1
FOR UPDATE SKIP LOCKED;
