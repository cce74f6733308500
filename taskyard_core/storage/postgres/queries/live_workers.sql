-- A page of workers with a session, by name, and how many tasks each runs. $1: a namespace, or null for all. $2, $3, $4: the
-- worker (namespace, name, digest of its session) that the page begins after, or null. $5: how many, and $6 how many bytes
-- as JSON, of which the first worker may be more. `found` is one more than are shown at least where the page is not the last.
WITH page AS MATERIALIZED (
    SELECT s.id, s.namespace, s.worker, d.digest
    FROM taskyard.session s
    -- As session_names.digest: who asks is told no ids. As the index has it, which gives them in this order.
    CROSS JOIN LATERAL (SELECT encode(sha256(s.id::text::bytea), 'hex') AS digest) AS d
    WHERE s.live AND ($1::text IS NULL OR s.namespace = $1)
        AND ($2::text IS NULL OR (s.namespace, s.worker, d.digest) > ($2, $3::text, $4::text))
    ORDER BY s.namespace, s.worker, d.digest
    LIMIT $5::int + 1
), weighed AS (
    SELECT page.id, page.digest, count(*) OVER () AS found, row_number() OVER so_far AS place,
           sum(octet_length(to_json(s)::text)) OVER so_far AS bytes
    FROM page
    JOIN taskyard.session s ON s.id = page.id
    WINDOW so_far AS (ORDER BY page.namespace, page.worker, page.digest)
)
SELECT s.id, s.worker AS name, s.namespace, s.labels, s.queues, s.types, s.slots, s.pod, s.dispatcher, s.sdk, s.pid,
       -- Within the calendar, whatever somebody wrote there.
       greatest(least(s.connected_at, '9999-12-31Z'), '0001-01-01Z') AS connected_at, s.draining,
       (SELECT count(*) FROM taskyard.task t WHERE t.state = 'RUNNING' AND t.session = s.id)::int AS running,
       weighed.digest, weighed.found
FROM weighed
JOIN taskyard.session s ON s.id = weighed.id
WHERE weighed.place <= $5 AND (weighed.bytes <= $6 OR weighed.place = 1)
ORDER BY weighed.place;
