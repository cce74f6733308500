-- Whole tasks by id, in any order. The worker's name outlives its session in the attempts.
SELECT t.id, t.namespace, t.queue, t.type, t.payload, t.priority, t.selector, t.state, t.attempt, t.failures, t.crashes,
       t.cancel_requested, t.idempotency_key, t.run_at, t.expires_at, t.timeout_seconds, t.retry, t.result, t.error,
       t.created_at, t.started_at, t.finished_at, t.traceparent, t.progress,
       coalesce(s.worker, CASE WHEN t.attempt > 0 THEN (
           SELECT a.worker FROM taskyard.attempt a WHERE a.task_id = t.id ORDER BY a.attempt DESC LIMIT 1) END) AS worker
FROM taskyard.task t
LEFT JOIN taskyard.session s ON s.id = t.session
WHERE t.id = ANY ($1::uuid[]);
