-- All QUEUED tasks are in the lanes of epoch $1.
UPDATE taskyard.leader SET lane_epoch = $1;
