-- Whole tasks by id, in any order. The worker's name outlives its session in the attempts.
-- What somebody wrote past all checks is shown as far as it can be: times within the calendar, and no value that is longer
-- than it may be (limits.PAYLOAD_BYTES, limits.RESULT_BYTES).
SELECT t.id, t.namespace, t.queue, t.type, t.priority, t.selector, t.state, t.attempt, t.failures, t.crashes,
       CASE WHEN octet_length(t.payload) <= 262144 THEN t.payload ELSE 'null' END AS payload,
       CASE WHEN octet_length(t.result) <= 1048576 THEN t.result END AS result,
       t.cancel_requested, t.idempotency_key, t.timeout_seconds AS timeout, t.retry, t.error, t.traceparent, t.progress,
       greatest(least(t.run_at, '9999-12-31Z'), '0001-01-01Z') AS run_at,
       CASE WHEN t.expires_at IS NOT NULL THEN greatest(least(t.expires_at, '9999-12-31Z'), '0001-01-01Z') END AS expires_at,
       greatest(least(t.created_at, '9999-12-31Z'), '0001-01-01Z') AS created_at,
       CASE WHEN t.started_at IS NOT NULL THEN greatest(least(t.started_at, '9999-12-31Z'), '0001-01-01Z') END AS started_at,
       CASE WHEN t.finished_at IS NOT NULL THEN greatest(least(t.finished_at, '9999-12-31Z'), '0001-01-01Z') END AS finished_at,
       coalesce(s.worker, CASE WHEN t.attempt > 0 THEN (
           SELECT a.worker FROM taskyard.attempt a WHERE a.task_id = t.id ORDER BY a.attempt DESC LIMIT 1) END) AS worker
FROM taskyard.task t
LEFT JOIN taskyard.session s ON s.id = t.session
WHERE t.id = ANY ($1::uuid[]);
