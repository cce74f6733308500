-- Puts entries that were taken back at the end of their lane.
-- KEYS[1]  the lane's stream
-- ARGV[1]  consumer group
-- ARGV[2…] entry id, task id, attempt; and so on for each entry
-- Reply: how many were put back; one that is no longer pending was dealt with by another consumer.
local returned = 0
for i = 2, #ARGV, 3 do
    -- Deleting comes first: a full server still takes the XADD of a script that has written already.
    if redis.call('XACK', KEYS[1], ARGV[1], ARGV[i]) == 1 then
        redis.call('XDEL', KEYS[1], ARGV[i])
        redis.call('XADD', KEYS[1], '*', 'task', ARGV[i + 1], 'attempt', ARGV[i + 2])
        returned = returned + 1
    end
end
return returned
