-- QUEUED tasks of one lane ($1) in order of age, after id $2, at most $3.
SELECT id, attempt FROM taskyard.task
WHERE state = 'QUEUED' AND lane = $1 AND id > $2::uuid
ORDER BY lane, id LIMIT $3::int;
