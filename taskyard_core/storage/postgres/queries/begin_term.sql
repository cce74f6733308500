-- A leader's term begins ($1, dispatcher $2), unless a newer one has, or another dispatcher's with the same number. Waits
-- for the duties that hold the former one.
UPDATE taskyard.leader SET term = $1, dispatcher = $2, since = now()
WHERE term < $1 OR (term = $1 AND dispatcher = $2)
RETURNING term;
