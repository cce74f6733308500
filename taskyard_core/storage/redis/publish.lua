-- Appends tasks to a lane.
-- KEYS[1]  the lane's stream
-- ARGV[1]  JSON array: task id, attempt; and so on for each task (one argument, since each costs the client time)
-- Reply: how many were appended.
local entries = cjson.decode(ARGV[1])
for i = 1, #entries, 2 do
    redis.call('XADD', KEYS[1], '*', 'task', entries[i], 'attempt', entries[i + 1])
end
return #entries / 2
