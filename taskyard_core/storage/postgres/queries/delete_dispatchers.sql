-- Dispatchers that have not written for $1 seconds.
DELETE FROM taskyard.dispatcher WHERE seen_at < now() - make_interval(secs => $1::float8)
