-- QUEUED tasks of some lanes ($1) that could have run for $2 seconds already.
SELECT settled.lane, settled.tasks
FROM unnest($1::text[]) AS wanted (lane)
CROSS JOIN LATERAL (
    SELECT wanted.lane, count(*) AS tasks
    FROM taskyard.task t
    WHERE t.state = 'QUEUED' AND t.lane = wanted.lane AND t.run_at < now() - make_interval(secs => $2::float8)
) settled;
