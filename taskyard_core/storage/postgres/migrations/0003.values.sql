-- transactional: false
-- What no API takes stays out by SQL, too: bounds on the values that can break a reader, and a `taskyard.submit` that
-- refuses what the API refuses, in the same words, for whoever may execute it and nothing else.
--
-- Each statement commits by itself and can be run again, so that nothing is locked while the table is read.

-- What is out of bounds already gets the nearest value within: an update of such a row, be it its claim, would fail.
-- (Bounds of times are a day wider than taskyard_core/domain/submission.py has them, whose years once were those of any zone.)
UPDATE taskyard.task
SET timeout_seconds = CASE WHEN timeout_seconds IS NOT NULL THEN greatest(least(timeout_seconds, 2592000), 0.001) END,
    run_at = greatest(least(run_at, '9001-01-01Z'), '1970-01-01Z'),
    expires_at = CASE WHEN expires_at IS NOT NULL THEN greatest(least(expires_at, '9001-01-01Z'), '1970-01-01Z') END
WHERE NOT (coalesce(timeout_seconds > 0 AND timeout_seconds <= 2592000, true)
           AND run_at >= '1969-12-31Z' AND run_at < '9001-01-02Z'
           AND coalesce(expires_at >= '1969-12-31Z' AND expires_at < '9001-01-02Z', true));

ALTER TABLE taskyard.task
    DROP CONSTRAINT IF EXISTS task_timeout_range,
    DROP CONSTRAINT IF EXISTS task_run_at_range,
    DROP CONSTRAINT IF EXISTS task_expires_at_range,
    -- NaN is greater than all other numbers here.
    ADD CONSTRAINT task_timeout_range CHECK (timeout_seconds > 0 AND timeout_seconds <= 2592000) NOT VALID,
    ADD CONSTRAINT task_run_at_range CHECK (run_at >= '1969-12-31Z' AND run_at < '9001-01-02Z') NOT VALID,
    ADD CONSTRAINT task_expires_at_range CHECK (expires_at >= '1969-12-31Z' AND expires_at < '9001-01-02Z') NOT VALID;

-- Once more, for what came between the two.
UPDATE taskyard.task
SET timeout_seconds = CASE WHEN timeout_seconds IS NOT NULL THEN greatest(least(timeout_seconds, 2592000), 0.001) END,
    run_at = greatest(least(run_at, '9001-01-01Z'), '1970-01-01Z'),
    expires_at = CASE WHEN expires_at IS NOT NULL THEN greatest(least(expires_at, '9001-01-01Z'), '1970-01-01Z') END
WHERE NOT (coalesce(timeout_seconds > 0 AND timeout_seconds <= 2592000, true)
           AND run_at >= '1969-12-31Z' AND run_at < '9001-01-02Z'
           AND coalesce(expires_at >= '1969-12-31Z' AND expires_at < '9001-01-02Z', true));

ALTER TABLE taskyard.task VALIDATE CONSTRAINT task_timeout_range;

ALTER TABLE taskyard.task VALIDATE CONSTRAINT task_run_at_range;

ALTER TABLE taskyard.task VALIDATE CONSTRAINT task_expires_at_range;

CREATE OR REPLACE FUNCTION taskyard.checked_name(field text, name text, most integer) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF length(name) > most THEN
        RAISE EXCEPTION '%: longer than % characters', field, most USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF name !~ '^[A-Za-z0-9][A-Za-z0-9._-]*$' THEN
        RAISE EXCEPTION '%: must be letters, digits, ''.'', ''_'' and ''-'', and begin with a letter or digit', field
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN name;
END
$$;

-- The one spelling of a selector, as taskyard_core/domain/selectors.py has it; raises what that raises.
CREATE OR REPLACE FUNCTION taskyard.canonical_selector(selector text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    blank CONSTANT text := '[ \t\r\n]*';
    label CONSTANT text := '[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?';
    value CONSTANT text := '[A-Za-z0-9](?:[A-Za-z0-9._/:+-]*[A-Za-z0-9])?';
    mark CONSTANT text := chr(1);
    rest text := btrim(selector, E' \t\r\n');
    whole CONSTANT integer := length(rest);
    found text[];
    -- Of each term its label, operator and values with marks between, which sort as the parts do.
    term text;
    terms text[] := '{}';
    canonical text;
BEGIN
    IF length(selector) > 1024 THEN
        RAISE EXCEPTION 'selector: longer than 1024 characters' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WHILE rest <> '' LOOP
        found := regexp_match(rest, concat('^((', label, ')[ \t\r\n]+(in|notin)', blank, '\(', blank, '(', value, '(?:', blank,
                                           ',', blank, value, ')*)', blank, '\))'));
        IF found IS NOT NULL THEN
            term := concat(found[2], mark, found[3], mark, array_to_string(ARRAY(
                SELECT DISTINCT btrim(listed, E' \t\r\n') COLLATE "C" FROM unnest(string_to_array(found[4], ',')) AS listed
                ORDER BY 1), mark));
        ELSE
            found := regexp_match(rest, concat('^((', label, ')', blank, '>=', blank, '(-?[0-9]{1,18}))'));
            IF found IS NOT NULL THEN
                term := concat(found[2], mark, '>=', mark, found[3]::bigint);
            ELSE
                found := regexp_match(rest, concat('^((', label, ')', blank, '(==|=|!=)', blank, '(', value, '))'));
                IF found IS NOT NULL THEN
                    term := concat(found[2], mark, CASE found[3] WHEN '!=' THEN 'notin' ELSE 'in' END, mark, found[4]);
                ELSE
                    found := regexp_match(rest, concat('^((!?)', blank, '(', label, '))'));
                    IF found IS NULL THEN
                        RAISE EXCEPTION 'selector: cannot be read from character % on', whole - length(rest) + 1
                            USING ERRCODE = 'invalid_parameter_value';
                    END IF;
                    term := concat(found[3], mark, CASE found[2] WHEN '!' THEN '!' ELSE 'exists' END);
                END IF;
            END IF;
        END IF;
        IF length(split_part(term, mark, 1)) > 63 THEN
            RAISE EXCEPTION 'selector: label key longer than 63 characters' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        terms := terms || term;
        rest := substr(rest, length(found[1]) + 1);
        EXIT WHEN rest = '';
        found := regexp_match(rest, concat('^', blank, ',', blank));
        IF found IS NULL OR length(found[1]) = length(rest) THEN
            RAISE EXCEPTION 'selector: expected '','' and a requirement at character %', whole - length(rest) + 1
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        rest := substr(rest, length(found[1]) + 1);
    END LOOP;
    terms := ARRAY(SELECT DISTINCT one COLLATE "C" FROM unnest(terms) AS one ORDER BY 1);
    IF cardinality(terms) > 32 THEN
        RAISE EXCEPTION 'selector: more than 32 requirements' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT coalesce(string_agg(CASE
               WHEN parts[2] = 'exists' THEN parts[1]
               WHEN parts[2] = '!' THEN '!' || parts[1]
               WHEN parts[2] = '>=' THEN concat(parts[1], '>=', parts[3])
               WHEN cardinality(parts) = 3 THEN concat(parts[1], CASE parts[2] WHEN 'in' THEN '=' ELSE '!=' END, parts[3])
               ELSE concat(parts[1], ' ', parts[2], ' (', array_to_string(parts[3:], ','), ')')
           END, ',' ORDER BY place), '')
    INTO canonical
    FROM (SELECT string_to_array(one, mark) AS parts, place FROM unnest(terms) WITH ORDINALITY AS sorted (one, place)) AS split;
    IF length(canonical) > 1024 THEN
        RAISE EXCEPTION 'selector: longer than 1024 characters' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN canonical;
END
$$;

CREATE OR REPLACE FUNCTION taskyard.submit(
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
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    task uuid := taskyard.uuid7();
    document bytea := convert_to(coalesce(submit.payload, 'null')::text, 'UTF8');
    seconds float8 := extract(epoch FROM submit.timeout);
    canonical text;
    hash bytea;
    first taskyard.idempotency;
    problem text;
BEGIN
    -- The order, too, is that of taskyard_core/domain/submission.py: the first violation is the one that is told.
    IF coalesce(submit.type, '') = '' THEN
        RAISE EXCEPTION 'type: is required' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM taskyard.checked_name('type', submit.type, 128);
    problem := CASE
        WHEN length(document) > 262144 THEN format('%s bytes, at most 262144 are allowed', length(document))
        WHEN jsonb_path_exists(submit.payload, 'strict $.**{64} ? (@.type() == "object" || @.type() == "array")')
            THEN 'nested deeper than 64 levels'
        -- Only a number or a text with so many digits in a row is worth a closer look.
        WHEN submit.payload::text ~ '[0-9]{255}' AND jsonb_path_exists(
            submit.payload, 'strict $.** ? (@.type() == "number" && (@ >= 1.797693134862315808e308 || @ <= -1.797693134862315808e308))')
            THEN 'not UTF-8 JSON: number is infinity when parsed as double'
    END;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'payload: %', problem USING ERRCODE = 'invalid_parameter_value';
    END IF;
    submit.namespace := taskyard.checked_name('namespace', coalesce(nullif(submit.namespace, ''), 'default'), 63);
    submit.queue := taskyard.checked_name('queue', coalesce(nullif(submit.queue, ''), 'default'), 63);
    submit.priority := coalesce(submit.priority, 5);
    IF submit.priority NOT BETWEEN 0 AND 10 THEN
        RAISE EXCEPTION 'priority: must be 0 to 10' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    submit.selector := coalesce(submit.selector, '');
    canonical := taskyard.canonical_selector(submit.selector);
    submit.idempotency_key := nullif(submit.idempotency_key, '');
    -- As in taskyard_core/domain/text.py.
    IF submit.idempotency_key ~ ('[\u0001-\u001f\u007f-\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000'
                                 '\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\ufeff\ufff9-\ufffb'
                                 '\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a'
                                 '\U000e0001\U000e0020-\U000e007f'
                                 '\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000f0000-\U0010ffff]') THEN
        RAISE EXCEPTION 'idempotency_key: must be printable text' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF length(convert_to(submit.idempotency_key, 'UTF8')) > 256 THEN
        RAISE EXCEPTION 'idempotency_key: longer than 256 bytes' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT (submit.run_at >= '1970-01-01Z' AND submit.run_at < '9001-01-01Z') THEN
        RAISE EXCEPTION 'run_at: must be between the years 1970 and 9000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT (submit.expires_at >= '1970-01-01Z' AND submit.expires_at < '9001-01-01Z') THEN
        RAISE EXCEPTION 'expires_at: must be between the years 1970 and 9000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    problem := CASE
        WHEN seconds = 0 THEN 'must be longer than zero'
        WHEN seconds < 0 THEN 'must not be negative'
        WHEN seconds > 2592000 THEN 'longer than 2592000 seconds'
    END;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'timeout: %', problem USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF submit.idempotency_key IS NOT NULL THEN
        hash := sha256(convert_to((jsonb_build_array(
            submit.type, coalesce(submit.payload, 'null'), submit.queue, submit.priority, submit.selector)
            || CASE WHEN seconds IS NULL THEN '[]' ELSE jsonb_build_array(seconds) END)::text, 'UTF8'));
        INSERT INTO taskyard.idempotency (namespace, key, request_hash, task_id)
        VALUES (submit.namespace, submit.idempotency_key, hash, task) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT * INTO first FROM taskyard.idempotency i
            WHERE i.namespace = submit.namespace AND i.key = submit.idempotency_key;
            IF NOT FOUND THEN
                -- Deleted meanwhile, or newer than what this transaction may see.
                RAISE EXCEPTION 'idempotency_key: is being used by another transaction, try again'
                    USING ERRCODE = 'serialization_failure';
            END IF;
            IF first.request_hash <> hash THEN
                RAISE EXCEPTION 'idempotency_key: ''%'' was used for another request, by task %',
                    submit.idempotency_key, first.task_id USING ERRCODE = 'unique_violation';
            END IF;
            RETURN first.task_id;
        END IF;
    END IF;
    INSERT INTO taskyard.task (id, namespace, queue, type, selector, priority, state, idempotency_key, run_at,
                               expires_at, timeout_seconds, payload)
    VALUES (task, submit.namespace, submit.queue, submit.type, canonical, submit.priority,
            CASE WHEN submit.run_at > now() THEN 'SCHEDULED' ELSE 'QUEUED' END, submit.idempotency_key,
            coalesce(submit.run_at, now()), submit.expires_at, seconds, document);
    IF submit.run_at IS NULL OR submit.run_at <= now() THEN
        INSERT INTO taskyard.outbox (task_ids) VALUES (ARRAY[task]);
    END IF;
    RETURN task;
END
$$;

-- It acts with its owner's rights now: those who could submit before may go on, everybody else must be given it.
DO $$
DECLARE
    submitter record;
BEGIN
    FOR submitter IN
        SELECT DISTINCT right_.grantee AS role FROM pg_class c, aclexplode(c.relacl) AS right_
        WHERE c.oid = 'taskyard.task'::regclass AND right_.privilege_type = 'INSERT' AND right_.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION taskyard.submit TO %s',
                       CASE WHEN submitter.role = 0 THEN 'PUBLIC' ELSE submitter.role::regrole::text END);
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) AS right_
                   WHERE c.oid = 'taskyard.task'::regclass AND right_.privilege_type = 'INSERT' AND right_.grantee = 0) THEN
        REVOKE EXECUTE ON FUNCTION taskyard.submit FROM PUBLIC;
    END IF;
END
$$;
