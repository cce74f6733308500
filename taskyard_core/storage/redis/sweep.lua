-- Deletes a lane's stream if nothing came into it lately.
-- KEYS[1]  the lane's stream
-- ARGV[1]  for how many ms nothing must have come; what came before is of tasks that wait no more, as the caller knows
-- Reply: 1 when the stream is gone, 0 when it is in use.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return 1
end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if newest then
    local now = redis.call('TIME')
    local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
    if now_ms - tonumber(string.match(newest[1], '^%d+')) < tonumber(ARGV[1]) then
        return 0
    end
end
return redis.call('DEL', KEYS[1])
