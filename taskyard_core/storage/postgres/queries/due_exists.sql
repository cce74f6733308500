-- Whether any task's run_at has come.
SELECT EXISTS (SELECT 1 FROM taskyard.task WHERE state = 'SCHEDULED' AND run_at <= now());
