-- Whether any task's expires_at passed before it started.
SELECT EXISTS (
    SELECT 1 FROM taskyard.task
    WHERE expires_at IS NOT NULL AND state IN ('SCHEDULED', 'BLOCKED', 'QUEUED') AND expires_at <= now());
