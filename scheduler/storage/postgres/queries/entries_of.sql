-- The lane entries of those of the tasks that are QUEUED.
SELECT lane, id, attempt FROM taskyard.task WHERE id = ANY ($1::uuid[]) AND state = 'QUEUED';
