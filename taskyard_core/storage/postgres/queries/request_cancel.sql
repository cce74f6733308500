-- Ask running tasks to stop; returns those that were running.
UPDATE taskyard.task SET cancel_requested = true
WHERE id = ANY ($1::uuid[]) AND state = 'RUNNING'
RETURNING id;
