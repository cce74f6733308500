-- The tasks that a session ($1) runs, locked in id order; with all that sending them again needs, as a claim has it.
-- $2, $3: attempts (ids, numbers) whose payloads are not needed. $4: no more payloads once they have come to so many bytes;
-- sizes are read without them. `unread` are those whose payloads are left out for that.
WITH running AS MATERIALIZED (
    SELECT id, attempt, session, lane, octet_length(payload) <= 262144 AS fits, octet_length(payload) AS bytes,
        timeout_seconds, failures, crashes, retry, CASE WHEN length(traceparent) <= 128 THEN traceparent END AS traceparent,
        CASE WHEN run_at > 'epoch' AND run_at < now() THEN extract(epoch FROM now() - run_at)::float8 ELSE 0 END AS waited,
        cancel_requested, (id, attempt) IN (SELECT * FROM unnest($2::uuid[], $3::int[])) AS known
    FROM taskyard.task
    WHERE session = $1 AND state = 'RUNNING'
    ORDER BY id
    FOR UPDATE
), carried AS (
    SELECT *, coalesce(sum(bytes) FILTER (WHERE fits AND NOT known) OVER before_it, 0) >= $4 AND NOT known AS unread
    FROM running
    WINDOW before_it AS (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT id, attempt, session, lane,
    CASE WHEN known OR unread THEN ''
        WHEN fits THEN (SELECT t.payload FROM taskyard.task t WHERE t.id = carried.id) END AS payload,
    timeout_seconds, failures, crashes, retry, traceparent, waited, cancel_requested, unread
FROM carried
ORDER BY id;
