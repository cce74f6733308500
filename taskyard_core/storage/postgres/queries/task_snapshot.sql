-- What a decision looks at, and what is told of it.
SELECT id, state, attempt, failures, crashes, cancel_requested, retry, session, lane, traceparent
FROM taskyard.task
WHERE id = $1;
