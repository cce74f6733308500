-- The schema that migrations go into. Two that find none both create it, IF NOT EXISTS or not, and one of them fails: hence
-- the lock. Two statements in one transaction.
SELECT pg_advisory_xact_lock(hashtext('taskyard.migration'));
CREATE SCHEMA IF NOT EXISTS taskyard;
