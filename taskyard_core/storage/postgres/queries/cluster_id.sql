-- Which cluster the database is of.
SELECT id FROM taskyard.cluster;
