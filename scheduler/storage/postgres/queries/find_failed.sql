-- Ids of FAILED tasks that fit a filter, as lock_failed chooses them.
SELECT id
FROM taskyard.task t
WHERE state = 'FAILED'
    AND ($1::text IS NULL OR t.namespace = $1)
    AND ($2::text IS NULL OR t.queue = $2)
    AND ($3::text IS NULL OR t.type = $3)
    AND ($4::text IS NULL OR t.error::json ->> 'type' = $4)
ORDER BY id
LIMIT $5;
