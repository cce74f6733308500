-- Insert a batch of tasks, and one outbox row naming those that may run now.
-- $1..$15: one array per column, in step. $16: ids of the tasks that are QUEUED.
WITH accepted AS (
    INSERT INTO taskyard.task (id, namespace, queue, type, payload, priority, selector, state, idempotency_key,
                               run_at, expires_at, timeout_seconds, retry, traceparent)
    SELECT new.id, new.namespace, new.queue, new.type, new.payload, new.priority, new.selector, new.state,
           new.idempotency_key, coalesce(new.run_at, now() + make_interval(secs => new.delay), now()),
           new.expires_at, new.timeout, new.retry, new.traceparent
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::smallint[], $7::text[], $8::text[],
                $9::text[], $10::timestamptz[], $11::float8[], $12::timestamptz[], $13::float8[], $14::text[],
                $15::text[])
        AS new (id, namespace, queue, type, payload, priority, selector, state, idempotency_key, run_at, delay,
                expires_at, timeout, retry, traceparent)
), queued AS (
    INSERT INTO taskyard.outbox (task_ids)
    SELECT $16::uuid[] WHERE cardinality($16::uuid[]) > 0
    RETURNING id
)
SELECT (SELECT id FROM queued) AS outbox_id, now() AS created_at;
