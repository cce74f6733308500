-- When a queue was last submitted to: rows of queues that nobody uses go.

ALTER TABLE taskyard.queue ADD COLUMN used_at timestamptz NOT NULL DEFAULT now();
