-- Delete sessions that ended more than $1 seconds ago, at most $2, longest ended first. Attempts keep what is shown of
-- their worker; one that something seems to run under all the same is left for whoever must find out why.
WITH ended AS MATERIALIZED (
    SELECT id FROM taskyard.session s
    WHERE NOT live AND ended_at < now() - make_interval(secs => $1::float8)
        AND NOT EXISTS (SELECT 1 FROM taskyard.task t WHERE t.state = 'RUNNING' AND t.session = s.id)
    ORDER BY ended_at
    LIMIT $2::int
    FOR UPDATE SKIP LOCKED
)
DELETE FROM taskyard.session s USING ended WHERE s.id = ended.id
RETURNING s.id;
