-- The last words of running handlers: $1 task ids, $2 attempts, $3 JSON of fraction and message.
UPDATE taskyard.task t SET progress = said.progress
FROM unnest($1::uuid[], $2::int[], $3::text[]) AS said (id, attempt, progress)
WHERE t.id = said.id AND t.state = 'RUNNING' AND t.attempt = said.attempt;
