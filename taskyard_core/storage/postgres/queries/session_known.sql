-- A row where session $1 is of namespace $2.
SELECT FROM taskyard.session WHERE id = $1 AND namespace = $2
