-- How many tasks are in a state ($1) that an index of its own holds; counted up to $2.
SELECT count(*) FROM (SELECT 1 FROM taskyard.task WHERE state = $1::text LIMIT $2::int) AS first;
