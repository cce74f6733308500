-- $1: the run's beginning, seconds since the epoch.
SELECT seq, extract(epoch FROM at)::float8 - $1 AS at, transaction, session::text, namespace, generation, live, slots,
    types, queues, labels, worker, dispatcher, draining, reason, answering, silent
FROM taskyard_audit.session
ORDER BY seq;
