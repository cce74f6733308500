-- A selector such as gpu=>1 is told how that is written, in the words of the API. All else of the function stays as it is.

DO $$
DECLARE
    whole text := pg_get_functiondef('taskyard.canonical_selector'::regproc);
    said text := 'requirement at character %'', whole - length(rest) + 1';
BEGIN
    IF position(said IN whole) = 0 THEN
        RAISE EXCEPTION 'taskyard.canonical_selector is not as it was made';
    END IF;
    EXECUTE replace(whole, said, $new$requirement at character %', concat(whole - length(rest) + 1,
                CASE WHEN rest ~ concat('^', blank, '(=>|>(?!=))') THEN '; at least is written >=' END)$new$);
END
$$;
