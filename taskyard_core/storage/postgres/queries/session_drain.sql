-- The worker of generation $2 of session $1 wants no more tasks.
UPDATE taskyard.session SET draining = true WHERE id = $1 AND generation = $2;
