-- Reads new entries of several lanes: first each lane's quota, then what is left of the budget in the lanes' order.
-- KEYS     the lanes' streams
-- ARGV[1]  consumer group
-- ARGV[2]  consumer
-- ARGV[3]  budget: how many entries at most
-- ARGV[4…] quota of each lane
-- Reply: blocks of lane's position, number of entries, then id, task, attempt of each.
local group, consumer, budget = ARGV[1], ARGV[2], tonumber(ARGV[3])
local reply = {}

local function read(stream, count)
    return redis.pcall('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', stream, '>')
end

-- The group begins at 0: entries published before anybody read the lane are work like any other.
local function read_creating(stream, count)
    local answer = read(stream, count)
    if answer and answer.err and string.find(answer.err, 'NOGROUP', 1, true) then
        redis.call('XGROUP', 'CREATE', stream, group, '0')
        answer = read(stream, count)
    end
    if answer and answer.err then
        error(answer.err)
    end
    return answer and answer[1][2] or {}
end

local function take(lane, count)
    local entries = read_creating(KEYS[lane], count)
    if #entries > 0 then
        reply[#reply + 1] = lane
        reply[#reply + 1] = #entries
    end
    for _, entry in ipairs(entries) do
        local at = #reply
        reply[at + 1] = entry[1]
        reply[at + 2] = entry[2][2]
        reply[at + 3] = tonumber(entry[2][4])
    end
    budget = budget - #entries
    return #entries == count
end

local may_have_more = {}
for lane = 1, #KEYS do
    local count = math.min(tonumber(ARGV[lane + 3]), budget)
    -- Acknowledged entries are deleted, so an empty stream has nothing to read; neither has one that is not there.
    if redis.call('XLEN', KEYS[lane]) > 0 and (count <= 0 or take(lane, count)) then
        may_have_more[#may_have_more + 1] = lane
    end
end
for _, lane in ipairs(may_have_more) do
    if budget <= 0 then
        break
    end
    take(lane, budget)
end
return reply
