-- The lanes' epoch for which all QUEUED tasks were last published.
SELECT lane_epoch FROM taskyard.leader;
