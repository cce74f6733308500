-- A page of the primary key: ids after $1 and below $2, at most $3 of them; which of them are over for longer than they
-- are kept: $4 seconds, FAILED ones $5. Also where the page ends (null: there is none) and how many ids it has.
WITH seen AS MATERIALIZED (
    SELECT id FROM taskyard.task WHERE id > $1::uuid AND id < $2::uuid ORDER BY id LIMIT $3::int
)
SELECT (SELECT id FROM seen ORDER BY id DESC LIMIT 1) AS last,
       (SELECT count(*) FROM seen) AS size,
       ARRAY(SELECT t.id FROM seen JOIN taskyard.task t ON t.id = seen.id
             WHERE t.finished_at < now() - make_interval(
                 secs => CASE WHEN t.state = 'FAILED' THEN $5::float8 ELSE $4::float8 END)
             ORDER BY t.id) AS ended;
