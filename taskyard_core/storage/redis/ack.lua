-- Forgets entries: acknowledged and deleted at once, since an acknowledged entry would stay in the stream for ever and
-- a deleted one in the pending list.
-- KEYS[1]  the lane's stream
-- ARGV[1]  consumer group
-- ARGV[2]  entry ids with a space between, at least one and few enough for Lua's stack
-- Reply: how many were pending.
local ids = {}
for id in string.gmatch(ARGV[2], '%S+') do
    ids[#ids + 1] = id
end
local acknowledged = redis.call('XACK', KEYS[1], ARGV[1], unpack(ids))
redis.call('XDEL', KEYS[1], unpack(ids))
return acknowledged
