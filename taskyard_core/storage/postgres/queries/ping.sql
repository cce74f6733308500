-- Whatever servers do to the tables, done to no row: it fails where theirs would, be it that a table is not there, that a
-- right is missing, or that the server takes no writes.
WITH
    task AS (INSERT INTO taskyard.task (id) SELECT id FROM taskyard.task WHERE false),
    task_changed AS (UPDATE taskyard.task SET state = state WHERE false),
    task_gone AS (DELETE FROM taskyard.task WHERE false),
    attempt AS (INSERT INTO taskyard.attempt (task_id) SELECT task_id FROM taskyard.attempt WHERE false),
    attempt_gone AS (DELETE FROM taskyard.attempt WHERE false),
    session AS (INSERT INTO taskyard.session (id) SELECT id FROM taskyard.session WHERE false),
    session_changed AS (UPDATE taskyard.session SET live = live WHERE false),
    session_gone AS (DELETE FROM taskyard.session WHERE false),
    outbox AS (INSERT INTO taskyard.outbox (task_ids) SELECT task_ids FROM taskyard.outbox WHERE false),
    outbox_gone AS (DELETE FROM taskyard.outbox WHERE false),
    key AS (INSERT INTO taskyard.idempotency (key) SELECT key FROM taskyard.idempotency WHERE false),
    key_gone AS (DELETE FROM taskyard.idempotency WHERE false),
    queue AS (INSERT INTO taskyard.queue (name) SELECT name FROM taskyard.queue WHERE false),
    queue_changed AS (UPDATE taskyard.queue SET retry = retry WHERE false),
    queue_gone AS (DELETE FROM taskyard.queue WHERE false),
    dispatcher AS (INSERT INTO taskyard.dispatcher (id) SELECT id FROM taskyard.dispatcher WHERE false),
    dispatcher_changed AS (UPDATE taskyard.dispatcher SET seen_at = seen_at WHERE false),
    dispatcher_gone AS (DELETE FROM taskyard.dispatcher WHERE false),
    leader AS (UPDATE taskyard.leader SET term = term WHERE false)
SELECT 1 FROM (SELECT FROM taskyard.cluster LIMIT 1) AS cluster
