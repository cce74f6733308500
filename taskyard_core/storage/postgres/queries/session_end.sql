-- Give a session up, unless it has said hello again since ($2 is the generation that was seen).
UPDATE taskyard.session SET live = false, ended_at = now(), end_reason = $3
WHERE id = $1 AND generation = $2 AND live
RETURNING worker, pod;
