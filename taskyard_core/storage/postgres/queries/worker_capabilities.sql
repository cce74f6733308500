-- What workers that take tasks said they can do, each once, at most $1.
SELECT DISTINCT namespace, types, queues, labels FROM taskyard.session WHERE live AND NOT draining LIMIT $1::int;
