-- Deletes a lane's stream if nothing waits in it and nothing is pending.
-- KEYS[1]  the lane's stream
-- ARGV[1]  consumer group
-- Reply: 1 when the stream is gone, 0 when it is in use.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return 1
end
if redis.call('XLEN', KEYS[1]) > 0 then
    return 0
end
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
if not pending.err and pending[1] > 0 then
    return 0
end
return redis.call('DEL', KEYS[1])
