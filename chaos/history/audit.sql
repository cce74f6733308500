-- Records every change of what the server keeps about tasks, sessions and terms, in the transaction that makes it.
-- Statement triggers with transition tables cost a fifth of row triggers, and draw `seq` just as well while all changed
-- rows are locked. No index: it is written a million times and read once.

CREATE SCHEMA taskyard_audit;

CREATE SEQUENCE taskyard_audit.seq;

CREATE TABLE taskyard_audit.task (
    seq              bigint      NOT NULL DEFAULT nextval('taskyard_audit.seq'),
    at               timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction      bigint      NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    application      text        NOT NULL DEFAULT current_setting('application_name'),
    term             bigint               DEFAULT nullif(current_setting('taskyard.term', true), '')::bigint,
    task             uuid        NOT NULL,
    old              text,
    new              text,
    attempt          integer     NOT NULL,
    failures         integer     NOT NULL,
    crashes          integer     NOT NULL,
    session          uuid,
    cancel_requested boolean     NOT NULL,
    due              timestamptz NOT NULL,
    expires          timestamptz,
    result           text,
    reason           text,
    -- Of inserts only.
    placement        text[],
    key              text,
    request          text,
    max_attempts     integer
);

CREATE TABLE taskyard_audit.session (
    seq         bigint      NOT NULL DEFAULT nextval('taskyard_audit.seq'),
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction bigint      NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    session     uuid        NOT NULL,
    namespace   text        NOT NULL,
    generation  integer     NOT NULL,
    live        boolean     NOT NULL,
    slots       integer     NOT NULL,
    types       text[]      NOT NULL,
    queues      text[]      NOT NULL,
    labels      text        NOT NULL,
    worker      text        NOT NULL,
    dispatcher  text        NOT NULL,
    draining    boolean     NOT NULL,
    reason      text,
    -- For how many seconds its dispatcher has answered for its sessions without a gap, and how long ago it last did.
    answering   float8,
    silent      float8
);

-- Since when each dispatcher has written its row without a gap.
CREATE TABLE taskyard_audit.answering (
    dispatcher text        PRIMARY KEY,
    since      timestamptz NOT NULL
);

CREATE TABLE taskyard_audit.term (
    seq        bigint      NOT NULL DEFAULT nextval('taskyard_audit.seq'),
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    term       bigint      NOT NULL,
    dispatcher text        NOT NULL
);

CREATE FUNCTION taskyard_audit.digest(content bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(encode(sha256(content), 'hex'), 16)
$$;

CREATE FUNCTION taskyard_audit.task_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO taskyard_audit.task (task, new, attempt, failures, crashes, session, cancel_requested, due, expires,
                                     placement, key, request, max_attempts)
    SELECT id, state, attempt, failures, crashes, session, cancel_requested, run_at, expires_at,
           ARRAY[namespace, queue, type, selector, priority::text], idempotency_key,
           taskyard_audit.digest(payload), (retry::jsonb ->> 'max_attempts')::integer
    FROM after
    -- What abusers do is theirs to know: its cost is measured, not its history.
    WHERE namespace <> 'abuse';
    RETURN NULL;
END
$$;

CREATE FUNCTION taskyard_audit.task_updated() RETURNS trigger LANGUAGE plpgsql
-- The plan is made once, perhaps for one row, and then serves a thousand.
SET enable_hashjoin = on SET enable_nestloop = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO taskyard_audit.task (task, old, new, attempt, failures, crashes, session, cancel_requested, due, expires,
                                     result, reason)
    SELECT n.id, o.state, n.state, n.attempt, n.failures, n.crashes, n.session, n.cancel_requested, n.run_at,
           n.expires_at, taskyard_audit.digest(n.result), n.error::jsonb ->> 'type'
    FROM after n
    JOIN before o ON o.id = n.id
    WHERE n.namespace <> 'abuse' AND (o.state, o.attempt, o.failures, o.crashes, o.session, o.cancel_requested, o.run_at, o.expires_at, o.result)
        IS DISTINCT FROM
          (n.state, n.attempt, n.failures, n.crashes, n.session, n.cancel_requested, n.run_at, n.expires_at, n.result);
    RETURN NULL;
END
$$;

CREATE FUNCTION taskyard_audit.task_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO taskyard_audit.task (task, old, attempt, failures, crashes, session, cancel_requested, due, expires)
    SELECT id, state, attempt, failures, crashes, session, cancel_requested, run_at, expires_at FROM before
    WHERE namespace <> 'abuse';
    RETURN NULL;
END
$$;

CREATE FUNCTION taskyard_audit.note_session(s taskyard.session) RETURNS void LANGUAGE sql AS $$
    INSERT INTO taskyard_audit.session (session, namespace, generation, live, slots, types, queues, labels, worker,
                                        dispatcher, draining, reason, answering, silent)
    SELECT s.id, s.namespace, s.generation, s.live, s.slots, s.types, s.queues, s.labels::text, s.worker,
           s.dispatcher, s.draining, s.end_reason, d.answering, d.silent
    FROM (VALUES (1)) AS one
    LEFT JOIN (
        SELECT extract(epoch FROM clock_timestamp() - a.since)::float8 AS answering,
               extract(epoch FROM clock_timestamp() - d.seen_at)::float8 AS silent
        FROM taskyard.dispatcher d JOIN taskyard_audit.answering a ON a.dispatcher = d.id
        WHERE d.id = s.dispatcher AND NOT s.live
    ) AS d ON true
    WHERE s.namespace <> 'abuse'
$$;

CREATE FUNCTION taskyard_audit.dispatcher_answered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO taskyard_audit.answering (dispatcher, since) VALUES (NEW.id, NEW.seen_at)
    ON CONFLICT (dispatcher) DO UPDATE SET since = excluded.since;
    RETURN NULL;
END
$$;

CREATE FUNCTION taskyard_audit.session_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM taskyard_audit.note_session(NEW);
    RETURN NULL;
END
$$;

CREATE FUNCTION taskyard_audit.term_raised() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO taskyard_audit.term (term, dispatcher) VALUES (NEW.term, NEW.dispatcher);
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_insert AFTER INSERT ON taskyard.task
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION taskyard_audit.task_inserted();
CREATE TRIGGER audit_update AFTER UPDATE ON taskyard.task
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT
    EXECUTE FUNCTION taskyard_audit.task_updated();
CREATE TRIGGER audit_delete AFTER DELETE ON taskyard.task
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION taskyard_audit.task_deleted();
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON taskyard.session
    FOR EACH ROW EXECUTE FUNCTION taskyard_audit.session_changed();
CREATE TRIGGER audit_insert AFTER INSERT ON taskyard.dispatcher
    FOR EACH ROW EXECUTE FUNCTION taskyard_audit.dispatcher_answered();
CREATE TRIGGER audit_update AFTER UPDATE ON taskyard.dispatcher
    -- After so long a gap, or a jump of the clock, nobody can tell any more what a leader saw in between.
    FOR EACH ROW WHEN (NEW.seen_at - OLD.seen_at NOT BETWEEN interval '0' AND interval '8 s')
    EXECUTE FUNCTION taskyard_audit.dispatcher_answered();
CREATE TRIGGER audit AFTER UPDATE ON taskyard.leader
    FOR EACH ROW WHEN ((OLD.term, OLD.dispatcher) IS DISTINCT FROM (NEW.term, NEW.dispatcher))
    EXECUTE FUNCTION taskyard_audit.term_raised();

-- Where the run begins.
INSERT INTO taskyard_audit.answering (dispatcher, since) SELECT id, seen_at FROM taskyard.dispatcher;
SELECT taskyard_audit.note_session(s) FROM taskyard.session s;
INSERT INTO taskyard_audit.term (term, dispatcher) SELECT term, dispatcher FROM taskyard.leader;
