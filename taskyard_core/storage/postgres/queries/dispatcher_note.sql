-- A dispatcher writes down that it is alive; returns all others, with the seconds since they last did.
WITH mine AS (
    INSERT INTO taskyard.dispatcher (id, pod, address, registered, leads, accepting, sessions, slots)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (id) DO UPDATE SET seen_at = now(), registered = excluded.registered, leads = excluded.leads,
                                   accepting = excluded.accepting, sessions = excluded.sessions, slots = excluded.slots
)
SELECT id, registered, accepting, sessions, extract(epoch FROM now() - seen_at)::float8 AS age
FROM taskyard.dispatcher
WHERE id <> $1
ORDER BY id;
