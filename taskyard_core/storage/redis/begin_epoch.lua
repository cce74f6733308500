-- Begins an epoch of the lanes, unless a later leader has begun one, or regardless of that.
-- KEYS[1]  the epoch's hash
-- ARGV[1]  the leader's term
-- ARGV[2]  the new epoch
-- ARGV[3]  1: regardless of a higher term
-- Reply: 1 when it began, 0 when a higher term is there.
local term = redis.call('HGET', KEYS[1], 'term')
if ARGV[3] ~= '1' and term and tonumber(term) > tonumber(ARGV[1]) then
    return 0
end
redis.call('HSET', KEYS[1], 'term', ARGV[1], 'epoch', ARGV[2])
return 1
