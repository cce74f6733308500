-- Appends tasks to a lane.
-- KEYS[1]  the lane's stream
-- ARGV     task id, attempt; and so on for each task
-- Reply: how many were appended.
for i = 1, #ARGV, 2 do
    redis.call('XADD', KEYS[1], '*', 'task', ARGV[i], 'attempt', ARGV[i + 1])
end
return #ARGV / 2
