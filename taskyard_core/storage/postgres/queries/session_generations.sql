-- The current generation of each of the sessions; 0 for one that was given up.
SELECT id, CASE WHEN live THEN generation ELSE 0 END FROM taskyard.session WHERE id = ANY ($1::uuid[]);
