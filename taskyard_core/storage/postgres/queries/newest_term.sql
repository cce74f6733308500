-- The newest term that has begun.
SELECT term FROM taskyard.leader;
