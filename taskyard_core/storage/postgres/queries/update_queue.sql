-- Set what is given of a queue's settings, unless $5 others have settings and it has none. $3: retry (empty: none),
-- $4: max_backlog; null leaves it. A row comes back if they were set.
INSERT INTO taskyard.queue AS q (namespace, name, retry, max_backlog)
SELECT $1::text, $2::text, nullif($3::text, '{}'), coalesce($4::bigint, 0)
WHERE (SELECT count(*) FROM (SELECT 1 FROM taskyard.queue WHERE retry IS NOT NULL OR max_backlog > 0 LIMIT $5::int) AS told) < $5
    OR EXISTS (SELECT 1 FROM taskyard.queue t
               WHERE t.namespace = $1 AND t.name = $2 AND (t.retry IS NOT NULL OR t.max_backlog > 0))
ON CONFLICT (namespace, name) DO UPDATE
    SET retry = nullif(coalesce($3, q.retry), '{}'), max_backlog = coalesce($4::bigint, q.max_backlog)
RETURNING true;
