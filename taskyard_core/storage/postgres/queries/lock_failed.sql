-- FAILED tasks that fit a filter, oldest first, held until the transaction ends; what somebody else holds is left out.
-- $1..$4: namespace, queue, type, error type, each null where anything goes. $5: how many at most.
-- An error is matched as codec.dump_error writes it: what somebody else wrote there need not be JSON at all.
SELECT id, state, attempt, failures, crashes, cancel_requested, retry, session, lane, traceparent
FROM taskyard.task t
WHERE state = 'FAILED'
    AND ($1::text IS NULL OR t.namespace = $1)
    AND ($2::text IS NULL OR t.queue = $2)
    AND ($3::text IS NULL OR t.type = $3)
    AND ($4::text IS NULL OR starts_with(t.error, '{"type":' || to_json($4::text)::text || ','))
ORDER BY id
LIMIT $5
FOR UPDATE SKIP LOCKED;
