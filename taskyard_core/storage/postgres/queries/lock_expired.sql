-- Tasks that did not start before their expires_at, at most $1, held until the transaction ends. What somebody else
-- holds is left out; the next page looks again.
SELECT id, state, attempt, failures, crashes, cancel_requested, retry, session, lane, traceparent
FROM taskyard.task
WHERE expires_at IS NOT NULL AND state IN ('SCHEDULED', 'BLOCKED', 'QUEUED') AND expires_at <= now()
ORDER BY expires_at
LIMIT $1
FOR UPDATE SKIP LOCKED;
