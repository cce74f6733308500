-- What a session has of the settings that were asked for when it began.
SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name
