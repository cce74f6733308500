-- $1: the run's beginning, seconds since the epoch.
SELECT seq, extract(epoch FROM at)::float8 - $1 AS at, transaction, task::text, old, new, attempt, failures, crashes,
    session::text, cancel_requested,
    -- What is due since ever has no place in JSON.
    extract(epoch FROM greatest(due, 'epoch'))::float8 - $1 AS due,
    extract(epoch FROM expires)::float8 - $1 AS expires, term, application, result, reason, placement, key, request,
    max_attempts
FROM taskyard_audit.task;
