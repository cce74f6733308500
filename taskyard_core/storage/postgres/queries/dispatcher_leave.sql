-- Dispatcher $1 answers for nobody any more.
DELETE FROM taskyard.dispatcher WHERE id = $1;
