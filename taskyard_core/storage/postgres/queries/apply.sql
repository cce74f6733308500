-- The one conditional write. What is written, and where, is decided in taskyard_core/domain/transitions.py: $1 has the rules, the
-- others a rule, task, attempt, owner and values for each transition. It takes place where the task is still in one of the
-- rule's states, at that attempt, and, where one is given, with that owner. Ends the attempt, where the rule has an outcome,
-- and names tasks that may run now in the outbox. Returns what took place, by its place among the transitions.
WITH decided AS MATERIALIZED (
    SELECT transition.place, transition.task_id, transition.session AS owner, transition.delay, transition.result,
        transition.error AS new_error, rule.*, t.state AS source,
        t.cancel_requested AND rule.if_cancelled IS NOT NULL AS cancelled
    FROM unnest($2::int[], $3::uuid[], $4::int[], $5::uuid[], $6::float8[], $7::bytea[], $8::text[]) WITH ORDINALITY
        AS transition (rule, task_id, attempt, session, delay, result, error, place)
    JOIN jsonb_to_recordset($1::jsonb)
        AS rule (number int, sources text[], target text, if_cancelled text, ends boolean, outcome text, failures int,
                 crashes int, clears_owner boolean, clears_error boolean, clears_cancel boolean, clears_expiry boolean)
        ON rule.number = transition.rule
    JOIN taskyard.task t ON t.id = transition.task_id
    WHERE t.attempt = transition.attempt
        AND t.state = ANY (rule.sources)
        AND (transition.session IS NULL OR t.session = transition.session)
    ORDER BY t.id
    FOR UPDATE OF t
), moved AS (
    UPDATE taskyard.task t
    SET state = CASE WHEN d.cancelled THEN d.if_cancelled ELSE d.target END,
        failures = CASE WHEN d.failures IS NULL THEN 0 ELSE least(t.failures::bigint + d.failures, 2147483647) END,
        crashes = CASE WHEN d.crashes IS NULL THEN 0 ELSE least(t.crashes::bigint + d.crashes, 2147483647) END,
        session = CASE WHEN d.clears_owner AND NOT d.cancelled THEN NULL ELSE t.session END,
        run_at = CASE WHEN d.cancelled OR d.delay IS NULL THEN t.run_at
                      ELSE now() + make_interval(secs => d.delay) END,
        expires_at = CASE WHEN d.clears_expiry AND t.expires_at <= now() THEN NULL ELSE t.expires_at END,
        result = d.result,
        error = CASE WHEN d.clears_error THEN NULL ELSE coalesce(d.new_error, t.error) END,
        cancel_requested = t.cancel_requested AND NOT d.clears_cancel,
        finished_at = CASE WHEN d.cancelled OR d.ends THEN now() END
    FROM decided d
    WHERE t.id = d.task_id
    RETURNING d.place, d.source, t.state, t.lane, t.traceparent, t.id, t.attempt, t.started_at, d.owner, d.outcome,
        d.new_error
), ended AS (
    INSERT INTO taskyard.attempt (task_id, attempt, session, worker, pod, dispatcher, started_at, finished_at, outcome,
                                  error)
    SELECT moved.id, moved.attempt, moved.owner, coalesce(s.worker, ''), coalesce(s.pod, ''),
           coalesce(s.dispatcher, ''), moved.started_at, now(), moved.outcome, moved.new_error
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
SELECT moved.place, moved.source, moved.state, moved.lane, moved.traceparent, (SELECT id FROM queued) AS outbox_id
FROM moved;
