-- Takes over entries that other consumers read long ago, and drops consumers that are gone and hold nothing.
-- KEYS     the lanes' streams
-- ARGV[1]  consumer group
-- ARGV[2]  consumer that takes them over
-- ARGV[3]  for how many ms an entry must have been left alone
-- ARGV[4]  budget: how many entries at most
-- ARGV[5]  position of the lane to begin with
-- ARGV[6]  cursor in that lane's pending list
-- ARGV[7]  for how many ms a consumer must have done nothing to be dropped
-- Reply: position of the lane to go on with (0 when all are done), its cursor, then blocks as take.lua's.
local PAGES, PAGE = 32, 100

local group, consumer, idle, budget = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local first, cursor, dead_after = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local reply = {0, '0-0'}
local pages = PAGES

-- Ids alone, and then the entries: only so Redis 6.2 tells which pending entries are deleted from the stream.
local function claim(lane)
    local stream = KEYS[lane]
    local answer = redis.pcall('XAUTOCLAIM', stream, group, consumer, idle, cursor, 'COUNT', math.min(budget, PAGE),
        'JUSTID')
    if answer.err then
        if not string.find(answer.err, 'NOGROUP', 1, true) then
            error(answer.err)
        end
        return '0-0'
    end
    local block = #reply
    reply[block + 1] = lane
    reply[block + 2] = 0
    for _, id in ipairs(answer[2]) do
        local entry = redis.call('XRANGE', stream, id, id)[1]
        if entry then
            local at = #reply
            reply[at + 1] = id
            reply[at + 2] = entry[2][2]
            reply[at + 3] = tonumber(entry[2][4])
            reply[block + 2] = reply[block + 2] + 1
        else
            redis.call('XACK', stream, group, id)
        end
    end
    budget = budget - reply[block + 2]
    return answer[1]
end

local function fields(flat)
    local named = {}
    for i = 1, #flat, 2 do
        named[flat[i]] = flat[i + 1]
    end
    return named
end

-- A consumer that is deleted takes its pending entries with it, where nobody can claim them.
local function drop_consumers(stream)
    local answer = redis.pcall('XINFO', 'CONSUMERS', stream, group)
    for _, flat in ipairs(answer) do
        local other = fields(flat)
        if other.name ~= consumer and other.pending == 0 and other.idle >= dead_after then
            redis.call('XGROUP', 'DELCONSUMER', stream, group, other.name)
        end
    end
end

for lane = first, #KEYS do
    if redis.call('EXISTS', KEYS[lane]) == 1 then
        -- An empty page is not the end, only the cursor 0-0 is.
        repeat
            if pages == 0 or budget <= 0 then
                reply[1], reply[2] = lane, cursor
                return reply
            end
            cursor = claim(lane)
            pages = pages - 1
        until cursor == '0-0'
        drop_consumers(KEYS[lane])
    end
    cursor = '0-0'
end
return reply
