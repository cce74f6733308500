-- QUEUED -> RUNNING for a batch. $1 task ids, $2 attempts (as their lane entries say), $3 sessions;
-- $4 session ids and $5 their generations, which must still hold: a session that said hello elsewhere, or was given up,
-- gets nothing more from here. $6: no more once the payloads have come to so many bytes; sizes are read without them.
-- state || '': by primary key, please. Else the planner may take task_queued, and skip through its lanes for each id.
WITH live AS MATERIALIZED (
    SELECT s.id
    FROM taskyard.session s
    JOIN unnest($4::uuid[], $5::int[]) AS mine (id, generation) ON s.id = mine.id
    WHERE s.live AND s.generation = mine.generation
    ORDER BY s.id
    FOR SHARE OF s
), ready AS MATERIALIZED (
    SELECT t.id, entry.session,
        CASE WHEN octet_length(t.payload) <= 262144 THEN octet_length(t.payload) ELSE 0 END AS bytes
    FROM unnest($1::uuid[], $2::int[], $3::uuid[]) AS entry (id, attempt, session)
    JOIN live ON live.id = entry.session
    JOIN taskyard.task t ON t.id = entry.id
    WHERE t.state || '' = 'QUEUED' AND t.attempt = entry.attempt AND t.attempt < 2147483647 AND NOT t.cancel_requested
        AND (t.expires_at IS NULL OR t.expires_at > now())
    -- In id order, so that two dispatchers with the same entries cannot deadlock.
    ORDER BY t.id
    FOR UPDATE OF t
), carried AS (
    SELECT id, session, sum(bytes) OVER (ORDER BY id) - bytes AS before FROM ready
)
UPDATE taskyard.task t
SET state = 'RUNNING', attempt = t.attempt + 1, session = carried.session, started_at = now(), progress = NULL
FROM carried
WHERE t.id = carried.id AND carried.before < $6
RETURNING t.id, t.attempt, t.session, t.lane,
    -- None of what is longer than it may be (limits.PAYLOAD_BYTES, limits.TRACEPARENT_LENGTH).
    CASE WHEN octet_length(t.payload) <= 262144 THEN t.payload END, t.timeout_seconds, t.failures, t.crashes, t.retry,
    CASE WHEN length(t.traceparent) <= 128 THEN t.traceparent END,
    CASE WHEN t.run_at > 'epoch' AND t.run_at < now() THEN extract(epoch FROM now() - t.run_at)::float8 ELSE 0 END AS waited;
