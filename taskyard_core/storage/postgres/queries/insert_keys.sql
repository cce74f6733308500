-- Take idempotency keys; returns those that were free. Sorted, so that two batches cannot deadlock.
INSERT INTO taskyard.idempotency (namespace, key, request_hash, meaning, task_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::uuid[])
    AS taken (namespace, key, written, meaning, task_id)
ORDER BY namespace, key
ON CONFLICT DO NOTHING
RETURNING task_id;
