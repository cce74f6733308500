-- Hold term $1 until the transaction ends; no row if it is over. Triggers may read from the setting under which term a
-- row was changed.
SELECT set_config('taskyard.term', $1::bigint::text, true) FROM taskyard.leader WHERE term = $1::bigint FOR SHARE;
