-- Transactional enqueue: a user's own transaction submits a task that exists only if the transaction commits.

CREATE FUNCTION taskyard.uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    -- RFC 9562: 48 bits of milliseconds, version 7; the rest of a random UUID stays.
    SELECT encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                    PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                    FROM 1 FOR 6),
            52, 1), 53, 1), 'hex')::uuid
$$;

CREATE FUNCTION taskyard.submit(
    type text,
    payload jsonb DEFAULT 'null',
    queue text DEFAULT 'default',
    namespace text DEFAULT 'default',
    priority integer DEFAULT 5,
    selector text DEFAULT '',
    run_at timestamptz DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL,
    timeout interval DEFAULT NULL
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    task uuid := taskyard.uuid7();
    hash bytea := sha256(convert_to(jsonb_build_array(
        submit.type, submit.payload, submit.queue, submit.priority, submit.selector)::text, 'UTF8'));
    first taskyard.idempotency;
BEGIN
    submit.idempotency_key := nullif(submit.idempotency_key, '');
    IF octet_length(submit.idempotency_key) > 256 THEN
        RAISE EXCEPTION 'idempotency_key: more than 256 bytes' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF length(submit.selector) > 1024 THEN
        RAISE EXCEPTION 'selector: more than 1024 characters' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF submit.type !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$' THEN
        RAISE EXCEPTION 'type: not a valid task type' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF submit.queue !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' OR submit.namespace !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' THEN
        RAISE EXCEPTION 'queue, namespace: not a valid name' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(submit.payload::text) > 262144 THEN
        RAISE EXCEPTION 'payload: more than 262144 bytes' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF submit.idempotency_key IS NOT NULL THEN
        INSERT INTO taskyard.idempotency (namespace, key, request_hash, task_id)
        VALUES (submit.namespace, submit.idempotency_key, hash, task) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT * INTO first FROM taskyard.idempotency i
            WHERE i.namespace = submit.namespace AND i.key = submit.idempotency_key;
            IF first.request_hash <> hash THEN
                RAISE EXCEPTION 'idempotency_key: already used by task %', first.task_id
                    USING ERRCODE = 'unique_violation';
            END IF;
            RETURN first.task_id;
        END IF;
    END IF;
    INSERT INTO taskyard.task (id, namespace, queue, type, selector, priority, state, idempotency_key, run_at,
                               expires_at, timeout_seconds, payload)
    VALUES (task, submit.namespace, submit.queue, submit.type, submit.selector, submit.priority,
            CASE WHEN submit.run_at > now() THEN 'SCHEDULED' ELSE 'QUEUED' END, submit.idempotency_key,
            coalesce(submit.run_at, now()), submit.expires_at, extract(epoch FROM submit.timeout),
            convert_to(submit.payload::text, 'UTF8'));
    IF submit.run_at IS NULL OR submit.run_at <= now() THEN
        INSERT INTO taskyard.outbox (task_ids) VALUES (ARRAY[task]);
    END IF;
    RETURN task;
END
$$;
