-- Who wrote within $1 seconds that it leads the newest term.
SELECT d.id
FROM taskyard.leader l JOIN taskyard.dispatcher d ON d.id = l.dispatcher
WHERE d.leads = l.term AND d.seen_at > now() - make_interval(secs => $1::float8);
