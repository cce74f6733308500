-- Forget rows whose entries are in the lanes.
DELETE FROM taskyard.outbox WHERE id = ANY ($1::bigint[]);
