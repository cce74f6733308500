-- Ids of FAILED tasks that fit a filter, as lock_failed chooses them.
-- An error is matched as codec.dump_error writes it: what somebody else wrote there need not be JSON at all.
SELECT id
FROM taskyard.task t
WHERE state = 'FAILED'
    AND ($1::text IS NULL OR t.namespace = $1)
    AND ($2::text IS NULL OR t.queue = $2)
    AND ($3::text IS NULL OR t.type = $3)
    AND ($4::text IS NULL OR starts_with(t.error, '{"type":' || to_json($4::text)::text || ','))
ORDER BY id
LIMIT $5;
