-- Note that tasks were submitted to these queues now.
INSERT INTO taskyard.queue AS q (namespace, name)
SELECT * FROM unnest($1::text[], $2::text[]) AS used (namespace, name)
ORDER BY 1, 2
ON CONFLICT (namespace, name) DO UPDATE SET used_at = now() WHERE q.used_at < now() - interval '10 minutes';
