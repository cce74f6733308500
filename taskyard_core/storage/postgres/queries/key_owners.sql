-- The first tasks of taken keys. A statement of its own: the one that lost the race cannot see the winner.
SELECT i.namespace, i.key, i.request_hash, i.meaning, i.task_id,
       greatest(least(i.created_at, '9999-12-31Z'), '0001-01-01Z') AS created_at
FROM taskyard.idempotency i
JOIN unnest($1::text[], $2::text[]) AS wanted (namespace, key) USING (namespace, key);
