-- The one conditional transition. A task moves only from where the decision saw it: $2 state, $3 attempt and, where
-- given, $4 session. A success also takes a task that was QUEUED again after its session was lost and that nobody has
-- claimed since: the work is done. A task that was to wait again is CANCELLED instead if that was asked for while it ran.
-- Ends the attempt ($11 outcome) and names tasks that may run now in the outbox.
WITH decided AS MATERIALIZED (
    SELECT decision.task_id, decision.attempt, decision.session, decision.failures, decision.crashes, decision.delay,
        decision.result, decision.error, decision.outcome, decision.source,
        CASE WHEN t.cancel_requested AND decision.source = 'RUNNING' AND decision.target IN ('QUEUED', 'SCHEDULED')
             THEN 'CANCELLED' ELSE decision.target END AS target
    FROM unnest($1::uuid[], $2::text[], $3::int[], $4::uuid[], $5::text[], $6::int[], $7::int[], $8::float8[],
                $9::bytea[], $10::text[], $11::text[])
        AS decision (task_id, source, attempt, session, target, failures, crashes, delay, result, error, outcome)
    JOIN taskyard.task t ON t.id = decision.task_id
    WHERE t.attempt = decision.attempt
        AND (t.state = decision.source OR (decision.target = 'SUCCEEDED' AND t.state = 'QUEUED'))
        AND (decision.session IS NULL OR t.session = decision.session)
    ORDER BY t.id
    FOR UPDATE OF t
), moved AS (
    UPDATE taskyard.task t
    SET state = d.target,
        failures = CASE WHEN d.target = 'SUCCEEDED' THEN t.failures ELSE d.failures END,
        crashes = CASE WHEN d.target = 'SUCCEEDED' THEN t.crashes ELSE d.crashes END,
        -- Kept while the owner may still bring a success home, and as the last worker of an ended task.
        session = CASE WHEN d.target IN ('QUEUED', 'SCHEDULED') AND d.outcome IS DISTINCT FROM 'CRASHED'
                       THEN NULL ELSE t.session END,
        run_at = CASE WHEN d.delay IS NULL THEN t.run_at ELSE now() + make_interval(secs => d.delay) END,
        -- Redriven past its expiry, it would only expire again.
        expires_at = CASE WHEN d.source = 'FAILED' AND t.expires_at <= now() THEN NULL ELSE t.expires_at END,
        result = d.result,
        error = CASE WHEN d.target = 'SUCCEEDED' THEN NULL ELSE coalesce(d.error, t.error) END,
        cancel_requested = t.cancel_requested AND d.target NOT IN ('QUEUED', 'SCHEDULED'),
        finished_at = CASE WHEN d.target IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'EXPIRED') THEN now() END
    FROM decided d
    WHERE t.id = d.task_id
    RETURNING t.id, t.attempt, t.session, t.started_at, t.state, d.session AS owner, d.outcome, d.error
), ended AS (
    INSERT INTO taskyard.attempt (task_id, attempt, session, worker, pod, dispatcher, started_at, finished_at, outcome,
                                  error)
    SELECT moved.id, moved.attempt, moved.owner, coalesce(s.worker, ''), coalesce(s.pod, ''),
           coalesce(s.dispatcher, ''), moved.started_at, now(), moved.outcome, moved.error
    FROM moved
    LEFT JOIN taskyard.session s ON s.id = moved.owner
    WHERE moved.outcome IS NOT NULL
    -- The attempt of a lost session that turned out a success.
    ON CONFLICT (task_id, attempt) DO UPDATE
        SET outcome = excluded.outcome, error = excluded.error, finished_at = excluded.finished_at
), queued AS (
    INSERT INTO taskyard.outbox (task_ids)
    SELECT array_agg(id) FROM moved WHERE state = 'QUEUED' HAVING count(*) > 0
    RETURNING id
)
SELECT moved.id, moved.attempt, moved.owner, moved.state, (SELECT id FROM queued) AS outbox_id FROM moved;
