-- The session's next generation, from its own dispatcher ($2 is the one that it knows). Waits for claims under the old one
-- that are under way; those that come later find it over.
UPDATE taskyard.session SET generation = generation + 1
WHERE id = $1 AND generation = $2 AND live
RETURNING generation;
