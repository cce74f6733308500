-- For the rest of the transaction: a plan for any values could not use the indexes that hold one state only.
SET LOCAL plan_cache_mode = force_custom_plan;
