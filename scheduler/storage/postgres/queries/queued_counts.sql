-- QUEUED tasks with an id below $1, by lane, from the index alone.
SELECT lane, count(*) FROM taskyard.task WHERE state = 'QUEUED' AND id < $1::uuid GROUP BY lane ORDER BY lane;
