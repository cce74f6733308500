-- Workers with a session, and how many tasks each runs. $1: a namespace, or null for all.
SELECT s.id, s.worker, s.namespace, s.labels, s.queues, s.types, s.slots, s.pod, s.dispatcher, s.sdk, s.pid,
       -- Within the calendar, whatever somebody wrote there.
       greatest(least(s.connected_at, '9999-12-31Z'), '0001-01-01Z') AS connected_at, s.draining,
       (SELECT count(*) FROM taskyard.task t WHERE t.state = 'RUNNING' AND t.session = s.id)::int AS running
FROM taskyard.session s
WHERE s.live AND ($1::text IS NULL OR s.namespace = $1)
ORDER BY s.namespace, s.worker, s.id;
