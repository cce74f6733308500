-- A worker says hello: a new session, or the next generation of a known one, which also revives one that was given up.
INSERT INTO taskyard.session AS s (id, namespace, worker, pod, node, dispatcher, labels, types, queues, slots, sdk,
                                   version, pid, draining)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (id) DO UPDATE SET
    generation = s.generation + 1, live = true, worker = excluded.worker, pod = excluded.pod, node = excluded.node,
    dispatcher = excluded.dispatcher, labels = excluded.labels, types = excluded.types, queues = excluded.queues,
    slots = excluded.slots, sdk = excluded.sdk, version = excluded.version, pid = excluded.pid,
    draining = excluded.draining, connected_at = now(), ended_at = NULL, end_reason = NULL
    WHERE s.namespace = excluded.namespace
RETURNING generation;
