-- An empty idempotency key is refused, as by the APIs: it is a variable that was not set, and its task would run twice.
-- All else of the function stays as it is, and so do the rights to it.

DO $$
DECLARE
    whole text := pg_get_functiondef('taskyard.submit'::regproc);
    taken text := 'submit.idempotency_key := nullif(submit.idempotency_key, '''');';
BEGIN
    IF position(taken IN whole) = 0 THEN
        RAISE EXCEPTION 'taskyard.submit is not as it was made';
    END IF;
    EXECUTE replace(whole, taken, $new$IF submit.idempotency_key = '' THEN
        RAISE EXCEPTION 'idempotency_key: must not be empty; leave it out for none' USING ERRCODE = 'invalid_parameter_value';
    END IF;$new$);
END
$$;
