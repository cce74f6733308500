-- Workers are listed by name: a page reads as many sessions as it shows, however many there are. As session_names.digest.
CREATE INDEX session_order ON taskyard.session (namespace, worker, (encode(sha256(id::text::bytea), 'hex'))) WHERE live;
