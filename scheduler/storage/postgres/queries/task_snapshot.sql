-- What a decision looks at.
SELECT id, state, attempt, failures, crashes, cancel_requested, retry, session FROM taskyard.task WHERE id = $1;
