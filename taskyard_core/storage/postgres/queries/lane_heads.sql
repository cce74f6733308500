-- The oldest QUEUED tasks of each lane ($1), at most $2 of each, that no other dispatcher is just claiming. The locks
-- hold until the claim of the same transaction.
SELECT head.id, head.attempt, head.lane
FROM unnest($1::text[], $2::int[]) AS wanted (lane, quota)
CROSS JOIN LATERAL (
    SELECT t.id, t.attempt, t.lane
    FROM taskyard.task t
    WHERE t.state = 'QUEUED' AND t.lane = wanted.lane AND t.attempt < 2147483647 AND NOT t.cancel_requested
        AND (t.expires_at IS NULL OR t.expires_at > now())
    ORDER BY t.lane, t.id
    LIMIT wanted.quota
    FOR UPDATE SKIP LOCKED
) head;
