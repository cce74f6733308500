-- Note queues that tasks were submitted to.
INSERT INTO taskyard.queue (namespace, name)
SELECT * FROM unnest($1::text[], $2::text[]) AS used (namespace, name)
ORDER BY 1, 2
ON CONFLICT DO NOTHING;
