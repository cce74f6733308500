-- The tables of the first release. Why each index exists is told in docs/architecture.md.

CREATE SCHEMA IF NOT EXISTS taskyard;

CREATE TABLE taskyard.task (
    id               uuid PRIMARY KEY,
    namespace        text        NOT NULL,
    queue            text        NOT NULL,
    type             text        NOT NULL,
    selector         text        NOT NULL DEFAULT '',
    priority         smallint    NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 10),
    -- Lane.name in taskyard_core/domain/lanes.py spells the same.
    lane             text        NOT NULL GENERATED ALWAYS AS
                     (namespace || '/' || queue || '/' || type || '/' || priority || '/' || selector) STORED,
    state            text        NOT NULL CHECK (state IN ('SCHEDULED', 'BLOCKED', 'QUEUED', 'RUNNING',
                                                           'SUCCEEDED', 'FAILED', 'CANCELLED', 'EXPIRED')),
    attempt          integer     NOT NULL DEFAULT 0,
    failures         integer     NOT NULL DEFAULT 0,
    crashes          integer     NOT NULL DEFAULT 0,
    cancel_requested boolean     NOT NULL DEFAULT false,
    -- The owner while RUNNING. It stays after a lost session's task is QUEUED again, so that the owner's late success
    -- can still be taken.
    session          uuid,
    idempotency_key  text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    run_at           timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz,
    started_at       timestamptz,
    finished_at      timestamptz,
    timeout_seconds  double precision,
    -- JSON of the fields that the task itself gave.
    retry            text,
    traceparent      text,
    payload          bytea       NOT NULL,
    result           bytea,
    -- JSON of type, message, stack, retryable.
    error            text,
    -- JSON of fraction, message.
    progress         text,
    CHECK ((state = 'RUNNING') <= (session IS NOT NULL AND started_at IS NOT NULL)),
    CHECK ((state IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'EXPIRED')) = (finished_at IS NOT NULL))
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.1,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX task_queued ON taskyard.task (lane, id) WHERE state = 'QUEUED';
CREATE INDEX task_scheduled ON taskyard.task (run_at) WHERE state = 'SCHEDULED';
CREATE INDEX task_running ON taskyard.task (session) WHERE state = 'RUNNING';
CREATE INDEX task_failed ON taskyard.task (namespace, queue, id) WHERE state = 'FAILED';
CREATE INDEX task_expiring ON taskyard.task (expires_at)
    WHERE expires_at IS NOT NULL AND state IN ('SCHEDULED', 'BLOCKED', 'QUEUED');

CREATE TABLE taskyard.attempt (
    task_id     uuid        NOT NULL,
    attempt     integer     NOT NULL,
    session     uuid        NOT NULL,
    worker      text        NOT NULL,
    pod         text        NOT NULL,
    dispatcher  text        NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('SUCCEEDED', 'FAILED', 'CRASHED', 'RELEASED', 'CANCELLED',
                                                        'TIMED_OUT')),
    error       text,
    PRIMARY KEY (task_id, attempt)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.1);

CREATE TABLE taskyard.session (
    id           uuid PRIMARY KEY,
    -- Rises with each hello; who claims for the session must know the current one.
    generation   integer     NOT NULL DEFAULT 1,
    live         boolean     NOT NULL DEFAULT true,
    namespace    text        NOT NULL,
    worker       text        NOT NULL,
    pod          text        NOT NULL,
    node         text        NOT NULL,
    dispatcher   text        NOT NULL,
    labels       jsonb       NOT NULL,
    types        text[]      NOT NULL,
    queues       text[]      NOT NULL,
    slots        integer     NOT NULL,
    sdk          text        NOT NULL,
    version      text        NOT NULL,
    pid          bigint      NOT NULL,
    draining     boolean     NOT NULL DEFAULT false,
    connected_at timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,
    end_reason   text
) WITH (fillfactor = 50);

CREATE INDEX session_live ON taskyard.session (id) WHERE live;
CREATE INDEX session_ended ON taskyard.session (ended_at) WHERE NOT live;

-- Batches of tasks that became QUEUED and are perhaps not in their lanes yet. A row is deleted once they are.
CREATE TABLE taskyard.outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    task_ids   uuid[]      NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE taskyard.idempotency (
    namespace    text        NOT NULL,
    key          text        NOT NULL,
    request_hash bytea       NOT NULL,
    task_id      uuid        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, key)
);

CREATE INDEX idempotency_task ON taskyard.idempotency (task_id);

CREATE TABLE taskyard.queue (
    namespace   text NOT NULL,
    name        text NOT NULL,
    -- JSON, as task.retry.
    retry       text,
    max_backlog bigint NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, name)
);

-- One row: the fence of the leader's duties, and the last epoch of the lanes that the leader has built.
CREATE TABLE taskyard.leader (
    single     boolean PRIMARY KEY DEFAULT true CHECK (single),
    term       bigint      NOT NULL DEFAULT 0,
    dispatcher text        NOT NULL DEFAULT '',
    since      timestamptz NOT NULL DEFAULT now(),
    lane_epoch text        NOT NULL DEFAULT ''
);

INSERT INTO taskyard.leader DEFAULT VALUES;
