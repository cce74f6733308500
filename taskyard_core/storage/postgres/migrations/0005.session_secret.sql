-- SHA-256 of the secret that a session's worker drew: nobody can say hello for it who does not know the secret.
-- NULL: the worker is of a version that draws none.
ALTER TABLE taskyard.session ADD COLUMN secret_hash bytea CHECK (octet_length(secret_hash) = 32);
