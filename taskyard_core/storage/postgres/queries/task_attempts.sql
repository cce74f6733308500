-- A page of a task's runs, oldest first; the running one has no outcome yet. $1 task id, $2 the last attempt of the page
-- before, $3 how many, and $4 how many bytes of errors, of which the first run may be more. `found` is one more than are
-- shown at least where the page is not the last. Sizes are read without the values.
-- Times are within the calendar, whatever somebody wrote there.
WITH run AS (
    (SELECT task_id, attempt, session, worker, pod, dispatcher,
            greatest(least(started_at, '9999-12-31Z'), '0001-01-01Z') AS started_at,
            greatest(least(finished_at, '9999-12-31Z'), '0001-01-01Z') AS finished_at, outcome, error
     FROM taskyard.attempt
     WHERE task_id = $1 AND attempt > $2)
    UNION ALL
    (SELECT t.id, t.attempt, t.session, coalesce(s.worker, ''), coalesce(s.pod, ''), coalesce(s.dispatcher, ''),
            greatest(least(t.started_at, '9999-12-31Z'), '0001-01-01Z'), NULL, NULL, NULL
     FROM taskyard.task t
     LEFT JOIN taskyard.session s ON s.id = t.session
     WHERE t.id = $1 AND t.state = 'RUNNING' AND t.attempt > $2)
    ORDER BY attempt
    LIMIT $3 + 1
), weighed AS (
    SELECT run.*, count(*) OVER () AS found, row_number() OVER so_far AS place,
           sum(coalesce(octet_length(run.error), 0)) OVER so_far AS bytes
    FROM run
    WINDOW so_far AS (ORDER BY run.attempt)
)
SELECT task_id, attempt, session, worker, pod, dispatcher, started_at, finished_at, outcome, error, found
FROM weighed
WHERE place <= $3 AND (bytes <= $4 OR place = 1)
ORDER BY attempt;
