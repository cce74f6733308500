-- What tasks take where they leave retry fields out, of queues that were told.
SELECT namespace, name, retry FROM taskyard.queue WHERE retry IS NOT NULL;
