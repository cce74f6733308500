-- Set what is given of a queue's settings. $3: retry, $4: max_backlog; null leaves it.
INSERT INTO taskyard.queue AS q (namespace, name, retry, max_backlog) VALUES ($1, $2, $3, coalesce($4::bigint, 0))
ON CONFLICT (namespace, name) DO UPDATE
    SET retry = coalesce($3, q.retry), max_backlog = coalesce($4::bigint, q.max_backlog);
