-- As list_tasks, where few tasks are in the state ($4): all of them are looked at, by the index that holds only those.
WITH few AS MATERIALIZED (
    SELECT id, namespace, queue, type, state, error, payload, result,
           selector, idempotency_key, traceparent, progress
    FROM taskyard.task
    WHERE state = $4::text AND ($6::uuid IS NULL OR id < $6)
)
SELECT t.id, octet_length(t.payload) + coalesce(octet_length(t.result), 0) + coalesce(octet_length(t.error), 0)
    + octet_length(t.selector) + coalesce(octet_length(t.idempotency_key), 0) + coalesce(octet_length(t.traceparent), 0)
    + coalesce(octet_length(t.progress), 0) + 600 AS bytes
FROM few t
WHERE ($1::text IS NULL OR t.namespace = $1)
    AND ($2::text IS NULL OR t.queue = $2)
    AND ($3::text IS NULL OR t.type = $3)
    AND ($5::text IS NULL OR starts_with(t.error, '{"type":' || to_json($5::text)::text || ','))
ORDER BY t.id DESC
LIMIT $7;
