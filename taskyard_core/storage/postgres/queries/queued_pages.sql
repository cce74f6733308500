-- QUEUED tasks of several lanes: of each lane ($1) those after an id ($2), in order of age, at most $3.
SELECT page.lane, page.id, page.attempt
FROM unnest($1::text[], $2::uuid[]) AS wanted (lane, after)
CROSS JOIN LATERAL (
    SELECT t.lane, t.id, t.attempt
    FROM taskyard.task t
    WHERE t.state = 'QUEUED' AND t.lane = wanted.lane AND t.id > wanted.after
    ORDER BY t.lane, t.id
    LIMIT $3::int
) page
ORDER BY page.lane, page.id;
