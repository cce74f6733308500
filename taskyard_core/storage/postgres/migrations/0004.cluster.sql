-- Which cluster this is, and which dispatchers are alive as far as they tell Postgres.

-- One row, made with the database: etcd and Redis are told the same id, so that two clusters that meet in a store notice.
CREATE TABLE taskyard.cluster (
    single     boolean PRIMARY KEY DEFAULT true CHECK (single),
    id         uuid        NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO taskyard.cluster DEFAULT VALUES;

-- A dispatcher writes its row every few seconds, and so answers for every live session that names it: etcd may be away,
-- full or replaced without anybody being taken for dead.
CREATE TABLE taskyard.dispatcher (
    id         text PRIMARY KEY,
    pod        text        NOT NULL,
    address    text        NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT now(),
    -- It has its entry in etcd.
    registered boolean     NOT NULL,
    -- The term that it leads, 0 for none: where there are two etcds, each elects a leader.
    leads      bigint      NOT NULL,
    -- Workers may be sent to it.
    accepting  boolean     NOT NULL,
    sessions   integer     NOT NULL,
    slots      integer     NOT NULL
) WITH (fillfactor = 50);
