-- Ids of a page and what they weigh (sizes are read without the values), newest first, among the $8 tasks that come next.
-- $1..$5: namespace, queue, type, state, error type, each null where anything goes. $6: the last id that the page before
-- looked at. $7: how many at most. Planned for its values each time, so that the walk begins at $6.
-- An error is matched as codec.dump_error writes it: what somebody else wrote there need not be JSON at all.
SELECT t.id, octet_length(t.payload) + coalesce(octet_length(t.result), 0) + coalesce(octet_length(t.error), 0)
    + octet_length(t.selector) + coalesce(octet_length(t.idempotency_key), 0) + coalesce(octet_length(t.traceparent), 0)
    + coalesce(octet_length(t.progress), 0) + 600 AS bytes
FROM (SELECT id, namespace, queue, type, state, error, payload, result,
             selector, idempotency_key, traceparent, progress
      FROM taskyard.task
      WHERE $6::uuid IS NULL OR id < $6
      ORDER BY id DESC
      LIMIT $8) AS t
WHERE ($1::text IS NULL OR t.namespace = $1)
    AND ($2::text IS NULL OR t.queue = $2)
    AND ($3::text IS NULL OR t.type = $3)
    AND ($4::text IS NULL OR t.state = $4)
    AND ($5::text IS NULL OR starts_with(t.error, '{"type":' || to_json($5::text)::text || ','))
LIMIT $7;
