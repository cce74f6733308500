-- $1: the run's beginning, seconds since the epoch.
SELECT seq, extract(epoch FROM at)::float8 - $1 AS at, term, dispatcher FROM taskyard_audit.term ORDER BY seq;
