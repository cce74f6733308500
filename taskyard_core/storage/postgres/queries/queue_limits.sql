-- How many tasks may wait, of queues that were told.
SELECT namespace, name, max_backlog FROM taskyard.queue WHERE max_backlog > 0;
