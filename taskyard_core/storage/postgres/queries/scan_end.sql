-- The last of the $2 tasks that come after a place in the list of all ($1, null for its beginning); none if there are fewer.
SELECT id FROM taskyard.task WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC OFFSET $2::int - 1 LIMIT 1;
