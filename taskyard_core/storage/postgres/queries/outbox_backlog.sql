-- Rows that wait, and the age of the oldest in seconds; a time that no clock of today can tell counts as now, or as 1970.
SELECT count(*), coalesce(extract(epoch FROM now() - min(least(greatest(created_at, 'epoch'), now()))), 0)::float8
FROM taskyard.outbox;
