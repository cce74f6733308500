-- The lane entries of those of the tasks that are QUEUED.
-- state || '': by primary key, please. Else the planner may take task_queued, and skip through its lanes for each id.
SELECT lane, id, attempt FROM taskyard.task WHERE id = ANY ($1::uuid[]) AND state || '' = 'QUEUED';
