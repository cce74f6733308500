-- Tries the commands that the other scripts use, in ways that change nothing, and answers with the first refusal.
-- KEYS[1]  a key that is never there
-- KEYS[2]  a text, for what would make a key that is not there
local absent, text = KEYS[1], KEYS[2]
local commands = {
    {'TIME'},
    {'EXISTS', absent},
    {'DEL', absent},
    {'XLEN', absent},
    {'XRANGE', absent, '-', '+', 'COUNT', 1},
    {'XREVRANGE', absent, '+', '-', 'COUNT', 1},
    {'XREADGROUP', 'GROUP', 'probe', 'probe', 'COUNT', 1, 'STREAMS', absent, '>'},
    {'XAUTOCLAIM', absent, 'probe', 'probe', 0, '0-0', 'COUNT', 1},
    {'XPENDING', absent, 'probe'},
    {'XACK', absent, 'probe', '0-0'},
    {'XDEL', absent, '0-0'},
    {'XINFO', 'CONSUMERS', absent, 'probe'},
    {'XGROUP', 'CREATE', absent, 'probe', '0'},
    {'XGROUP', 'DELCONSUMER', absent, 'probe', 'probe'},
}
if redis.call('EXISTS', text) == 1 then
    commands[#commands + 1] = {'SADD', text, ''}
    commands[#commands + 1] = {'HSET', text, '', ''}
end
for _, command in ipairs(commands) do
    local answer = redis.pcall(unpack(command))
    local said = type(answer) == 'table' and answer.err
    -- Before Redis 7 it does not say which command it was.
    if said and (said:find('ermission') or said:find("can't run")) then
        return redis.error_reply('NOPERM for ' .. command[1] .. ' in a script: ' .. said)
    end
end
return 1
