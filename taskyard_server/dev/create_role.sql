-- What creates role $1, who signs in with password $2, where it is missing.
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $1);
