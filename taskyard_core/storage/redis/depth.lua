-- Measures lanes.
-- KEYS     the lanes' streams
-- ARGV[1]  consumer group
-- Reply: for each lane its length, how many entries are pending, and the age of the oldest entry in ms.
local now = redis.call('TIME')
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local reply = {}

local function pending(stream)
    if redis.call('EXISTS', stream) == 0 then
        return 0
    end
    -- Nobody has read the lane yet when it has no group.
    local answer = redis.pcall('XPENDING', stream, ARGV[1])
    return answer.err and 0 or answer[1]
end

local function age(stream)
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    if not oldest then
        return 0
    end
    return math.max(0, now_ms - tonumber(string.match(oldest[1], '^%d+')))
end

for _, stream in ipairs(KEYS) do
    local at = #reply
    reply[at + 1] = redis.call('XLEN', stream)
    reply[at + 2] = pending(stream)
    reply[at + 3] = age(stream)
end
return reply
