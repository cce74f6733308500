-- What became of attempts whose result found nothing to change: $1 task ids, $2 attempts.
SELECT result.task_id, result.attempt, a.outcome, a.session
FROM unnest($1::uuid[], $2::int[]) AS result (task_id, attempt)
LEFT JOIN taskyard.attempt a ON a.task_id = result.task_id AND a.attempt = result.attempt;
