-- Which of these entries (task, attempt) are still to be run.
-- state || '': by primary key, please. Else the planner may take task_queued, and skip through its lanes for each id.
SELECT t.id
FROM taskyard.task t
JOIN unnest($1::uuid[], $2::int[]) AS entry (id, attempt) ON t.id = entry.id
WHERE t.state || '' = 'QUEUED' AND t.attempt = entry.attempt AND t.attempt < 2147483647 AND NOT t.cancel_requested
    AND (t.expires_at IS NULL OR t.expires_at > now());
