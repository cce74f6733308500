-- A worker says hello: a new session, or the next generation of a known one, which also revives one that was given up.
INSERT INTO taskyard.session AS s (id, namespace, worker, pod, node, dispatcher, labels, types, queues, slots, sdk,
                                   version, pid, draining, secret_hash)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (id) DO UPDATE SET
    generation = s.generation + 1, live = true, worker = excluded.worker, pod = excluded.pod, node = excluded.node,
    dispatcher = excluded.dispatcher, labels = excluded.labels, types = excluded.types, queues = excluded.queues,
    slots = excluded.slots, sdk = excluded.sdk, version = excluded.version, pid = excluded.pid,
    draining = excluded.draining, connected_at = now(), ended_at = NULL, end_reason = NULL,
    secret_hash = coalesce(s.secret_hash, excluded.secret_hash)
    -- Hashes are compared, so the time that it takes tells nothing about the secret.
    WHERE s.namespace = excluded.namespace AND (s.secret_hash IS NULL OR s.secret_hash = excluded.secret_hash)
RETURNING generation;
