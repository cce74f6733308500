-- Forget queues that nobody has submitted to for $1 seconds and that have no settings, at most $2. Such a row says nothing
-- but that there was one: what still waits or runs in it is listed without, and the next submit brings it back. The
-- conditions stand in the outer statement too, so that a row that is used or set up meanwhile stays.
WITH unused AS (
    SELECT namespace, name FROM taskyard.queue
    WHERE used_at < now() - make_interval(secs => $1::float8) AND retry IS NULL AND max_backlog = 0
    ORDER BY namespace, name
    LIMIT $2::int
    FOR UPDATE SKIP LOCKED
)
DELETE FROM taskyard.queue q USING unused
WHERE q.namespace = unused.namespace AND q.name = unused.name
    AND q.used_at < now() - make_interval(secs => $1::float8) AND q.retry IS NULL AND q.max_backlog = 0
RETURNING q.name;
