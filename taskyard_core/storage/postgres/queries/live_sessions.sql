-- Sessions that nobody has given up, all or those of a dispatcher ($1), by id; with the seconds since their last hello and
-- since their dispatcher last answered for them.
SELECT s.id, s.generation, s.dispatcher, extract(epoch FROM now() - least(greatest(s.connected_at, 'epoch'), now()))::float8,
       extract(epoch FROM now() - d.seen_at)::float8
FROM taskyard.session s LEFT JOIN taskyard.dispatcher d ON d.id = s.dispatcher
WHERE s.live AND ($1::text IS NULL OR s.dispatcher = $1)
ORDER BY s.id;
