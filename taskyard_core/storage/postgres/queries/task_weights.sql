-- What tasks weigh in an answer, as in list_tasks; sizes are read without the values.
SELECT t.id, octet_length(t.payload) + coalesce(octet_length(t.result), 0) + coalesce(octet_length(t.error), 0)
    + octet_length(t.selector) + coalesce(octet_length(t.idempotency_key), 0) + coalesce(octet_length(t.traceparent), 0)
    + coalesce(octet_length(t.progress), 0) + 600 AS bytes
FROM taskyard.task t
WHERE t.id = ANY ($1::uuid[]);
