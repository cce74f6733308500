-- Requests under one idempotency key are compared by what they mean, as the canonical form of their JSON tells it, and no
-- more by how it was written. Rows of before have no meaning and are compared as before, until retention takes them.

ALTER TABLE taskyard.idempotency ADD COLUMN meaning bytea;

-- The canonical form of a document, as scheduler/taskyard_scheduler/meaning.py writes it: keys in the order of their bytes,
-- numbers without zeros that do not count, and without an exponent up to 30 decimals, no spaces.
CREATE FUNCTION taskyard.canonical_json(document jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    number numeric;
BEGIN
    CASE jsonb_typeof(document)
        WHEN 'object' THEN
            RETURN (SELECT concat('{', string_agg(concat(to_jsonb(key), ':', taskyard.canonical_json(value)), ','
                                                  ORDER BY key COLLATE "C"), '}')
                    FROM jsonb_each(document));
        WHEN 'array' THEN
            RETURN (SELECT concat('[', string_agg(taskyard.canonical_json(value), ',' ORDER BY place), ']')
                    FROM jsonb_array_elements(document) WITH ORDINALITY AS item (value, place));
        WHEN 'number' THEN
            number := trim_scale(document::numeric);
            IF scale(number) <= 30 THEN
                RETURN number;
            END IF;
            RETURN concat(CASE WHEN number < 0 THEN '-' END, ltrim(replace(abs(number)::text, '.', ''), '0'), 'e-', scale(number));
        ELSE
            RETURN document;
    END CASE;
END
$$;

-- All else of the function stays as it is, and so do the rights to it.
DO $$
DECLARE
    whole text := pg_get_functiondef('taskyard.submit'::regproc);
    part record;
BEGIN
    FOR part IN SELECT * FROM (VALUES
        ($old$    hash bytea;$old$,
         $new$    hash bytea;
    meaning bytea;$new$),
        ($old$        INSERT INTO taskyard.idempotency (namespace, key, request_hash, task_id)
        VALUES (submit.namespace, submit.idempotency_key, hash, task) ON CONFLICT DO NOTHING;$old$,
         $new$        -- As request_hash in scheduler/taskyard_scheduler/meaning.py.
        meaning := sha256(convert_to(concat(
            taskyard.canonical_json(jsonb_build_array(
                submit.type, submit.queue, submit.priority, canonical, NULL, extract(epoch FROM submit.timeout), NULL)),
            chr(10), taskyard.canonical_json(coalesce(submit.payload, 'null'))), 'UTF8'));
        INSERT INTO taskyard.idempotency (namespace, key, request_hash, meaning, task_id)
        VALUES (submit.namespace, submit.idempotency_key, hash, meaning, task) ON CONFLICT DO NOTHING;$new$),
        ($old$            IF first.request_hash <> hash THEN$old$,
         $new$            IF coalesce(first.meaning <> meaning, first.request_hash <> hash) THEN$new$)
    ) AS parts (old, new) LOOP
        IF position(part.old IN whole) = 0 THEN
            RAISE EXCEPTION 'taskyard.submit is not as it was made';
        END IF;
        whole := replace(whole, part.old, part.new);
    END LOOP;
    EXECUTE whole;
END
$$;
