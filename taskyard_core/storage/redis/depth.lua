-- Measures lanes.
-- KEYS     the lanes' streams
-- ARGV[1]  consumer group
-- Reply: for each lane its length, and how many entries are pending.
local reply = {}

local function pending(stream)
    if redis.call('EXISTS', stream) == 0 then
        return 0
    end
    -- Nobody has read the lane yet when it has no group.
    local answer = redis.pcall('XPENDING', stream, ARGV[1])
    return answer.err and 0 or answer[1]
end

for _, stream in ipairs(KEYS) do
    local at = #reply
    reply[at + 1] = redis.call('XLEN', stream)
    reply[at + 2] = pending(stream)
end
return reply
