-- FAILED tasks that fit a filter, oldest first, held until the transaction ends; what somebody else holds is left out.
-- $1..$4: namespace, queue, type, error type, each null where anything goes. $5: how many at most.
SELECT id, state, attempt, failures, crashes, cancel_requested, retry, session, lane, traceparent
FROM taskyard.task t
WHERE state = 'FAILED'
    AND ($1::text IS NULL OR t.namespace = $1)
    AND ($2::text IS NULL OR t.queue = $2)
    AND ($3::text IS NULL OR t.type = $3)
    AND ($4::text IS NULL OR t.error::json ->> 'type' = $4)
ORDER BY id
LIMIT $5
FOR UPDATE SKIP LOCKED;
