-- What every script finds: the part of the host that is best written in Lua.
--
-- Called once with the host's functions. A function that must wait yields the mark PENDING and a ticket; the worker
-- carries the ticket out and resumes with the result. `coroutine` is wrapped so that such a yield passes through the
-- coroutines of a script up to the worker, whatever they are used for.
local host = ...

-- `resume`, `close` and `xpcall` are the host's: they keep note of which coroutine runs, and let nothing run in one that
-- was stopped.
local resume, close, xpcall = host.resume, host.close, host.xpcall
local create, status, running = coroutine.create, coroutine.status, coroutine.running
local isyieldable, yield = coroutine.isyieldable, coroutine.yield
local error, pcall, select, setmetatable, getmetatable, tostring, type, rawset, rawget =
  error, pcall, select, setmetatable, getmetatable, tostring, type, rawset, rawget
local string_format, concat, pack, unpack = string.format, table.concat, table.pack, table.unpack

local next = next

local PENDING = {}

-- What the rules of a script share is nobody's to change: a table in front of the real one, which nobody can reach.

local frozen = setmetatable({}, { __mode = "k" })

local function freeze(name, real, pairs)
  local function refuse(_, key)
    -- At the script's line, whatever function of the library is on the way.
    local place = host.place()
    local message = string_format("`%s` cannot be changed: `%s` was to be set in it", name, tostring(key))
    error((place and place .. ": " or "") .. message, 0)
  end
  local function entries()
    local key
    return function()
      local value
      key, value = next(real, key)
      return key, value
    end
  end
  local front = setmetatable({}, {
    __name = name,
    __metatable = false,
    __frozen = real,
    __index = real,
    __newindex = refuse,
    __pairs = pairs or entries,
  })
  frozen[front] = refuse
  return front
end

-- A refusal of the daemon, arguments that were not sent, or a permission that is missing: an error value with fields, not
-- a text.
local Refusal = {
  __name = "olvid.error",
  __metatable = false,
  __tostring = function(e)
    local place = e.place and e.place .. ": " or ""
    if e.denied then return place .. e.message end
    return string_format("%solvid.%s: %s: %s", place, e.command, e.code, e.message)
  end,
  __concat = function(a, b) return tostring(a) .. tostring(b) end,
}

local function refuse(command, code, message, sent)
  local refusal = { command = command, code = code, message = message, sent = sent, place = host.place() }
  error(setmetatable(refusal, Refusal), 0)
end

-- The message says what is denied, and what permits it.
local function deny(command, message)
  local denial =
    { command = command, code = "PERMISSION_DENIED", message = message, sent = false, denied = true, place = host.place() }
  error(setmetatable(denial, Refusal), 0)
end

local function settled(command, ok, value, message, sent)
  if ok then return value end
  refuse(command, value, message, sent)
end

local function await(command, ticket)
  if not isyieldable() then
    error("cannot wait here: " .. command .. " was called inside a sort comparator, a gsub callback or a metamethod", 3)
  end
  return settled(command, yield(PENDING, ticket))
end

-- Commands.

local function begin(name, index, arguments)
  local ticket, mistake, denied = host.begin(index, arguments, isyieldable())
  if denied then deny(name, mistake) end
  if not ticket then refuse(name, "INVALID_ARGUMENT", mistake, false) end
  return ticket
end

local function iterate(name, opened)
  local page, at, stream = opened.page, 0, opened.stream
  local function following()
    while page do
      at = at + 1
      if page[at] ~= nil then return page[at] end
      page, at = await(name, host.fetch(stream)).page, 0
    end
  end
  return following, nil, nil, stream
end

local function command(name, index, streams)
  return function(arguments, extra)
    if extra ~= nil then
      refuse(name, "INVALID_ARGUMENT", "takes one table of fields: olvid." .. name .. "{ ... }", false)
    end
    local answer = await(name, begin(name, index, arguments))
    if streams then return iterate(name, answer) end
    return answer
  end
end

-- Made on first use: a VM that uses five commands holds five functions.
local commands = setmetatable({}, {
  __index = function(self, name)
    local index, streams = host.command(name)
    if not index then error(streams, 2) end
    local made = command(name, index, streams)
    rawset(self, name, made)
    return made
  end,
})

local olvid = freeze("olvid", commands, function()
  local names, at = host.commands(), 0
  return function()
    at = at + 1
    if names[at] then return names[at], commands[names[at]] end
  end
end)

-- Coroutines of scripts.

-- `waiting` holds those whose answer is on its way: nobody else may resume one, or its answer would be lost.

local theirs = setmetatable({}, { __mode = "k" })
local waiting = setmetatable({}, { __mode = "k" })

local go_on

local function pass(co, ok, first, ...)
  if not (ok and first == PENDING) then return ok, first, ... end
  if not isyieldable() then
    -- Resumed where nothing can wait: the call is taken back, and fails inside the coroutine.
    host.forget(...)
    return go_on(co, false, "INVALID_ARGUMENT", "cannot wait for an answer: the coroutine was resumed inside a C function", false)
  end
  waiting[co] = true
  return go_on(co, yield(PENDING, ...))
end

function go_on(co, ...)
  waiting[co] = nil
  return pass(co, resume(co, ...))
end

local function step(co, ...)
  if type(co) ~= "thread" then error("bad argument #1 to 'resume' (coroutine expected)", 2) end
  -- Those that handlers run in are the host's, whoever has got hold of one.
  if not theirs[co] then return false, "cannot resume non-suspended coroutine" end
  if waiting[co] then return false, "cannot resume a coroutine that waits for an answer" end
  return pass(co, resume(co, ...))
end

local function raise_or_return(co, ok, ...)
  if ok then return ... end
  -- As `coroutine.wrap` does: what is to be closed is closed.
  if status(co) == "suspended" or status(co) == "dead" then close(co) end
  error((...), 0)
end

local coroutine = {
  create = function(f)
    local co = create(f)
    theirs[co] = true
    return co
  end,
  resume = step,
  yield = function(...)
    if not theirs[running()] then error("attempt to yield from outside a coroutine", 2) end
    return yield(...)
  end,
  wrap = function(f)
    local co = create(f)
    theirs[co] = true
    return function(...) return raise_or_return(co, step(co, ...)) end
  end,
  running = function()
    local co = running()
    return co, not theirs[co]
  end,
  isyieldable = function() return theirs[running()] == true and isyieldable() end,
  status = function(co)
    if waiting[co] or type(co) == "thread" and not theirs[co] and co ~= running() then return "normal" end
    return status(co)
  end,
  close = function(co)
    if waiting[co] then error("cannot close a coroutine that waits for an answer", 2) end
    local state = type(co) == "thread" and not theirs[co] and "running" or status(co)
    if state ~= "suspended" and state ~= "dead" then error("cannot close a " .. state .. " coroutine", 2) end
    return close(co)
  end,
}

-- Modules.

local loaded, loading = {}, {}

local function require(name)
  if loaded[name] ~= nil then return loaded[name] end
  if loading[name] then error("module `" .. name .. "` requires itself", 2) end
  local chunk, mistake = host.module(name)
  if not chunk then error(mistake, 2) end
  loading[name] = true
  local ok, value = pcall(chunk, name)
  loading[name] = nil
  if not ok then error(value, 0) end
  if value == nil then value = true end
  loaded[name] = value
  return value
end

-- The log.

local function display(...)
  local parts = pack(...)
  for at = 1, parts.n do parts[at] = tostring(parts[at]) end
  return concat(parts, "\t")
end

local log = {}
for _, level in ipairs { "debug", "info", "warn", "error" } do
  log[level] = function(text, fields) host.log(level, tostring(text), fields) end
end

local globals = _G

-- Only where time is set by hand: the stock functions ask the system.
if host.time then
  local time, date, now = os.time, os.date, host.time
  os.time = function(at)
    if at == nil then return now() end
    return time(at)
  end
  os.date = function(format, at) return date(format or "%c", at or now()) end
end

globals.olvid = olvid
local libraries = { coroutine = coroutine, log = log, string = string, table = table, math = math, utf8 = utf8, os = os }
for name, library in next, libraries do
  globals[name] = freeze(name, library)
end
local function raising(f)
  return function(value)
    local result, mistake = f(value)
    if mistake then error(mistake, 2) end
    return result
  end
end

libraries.json = { encode = raising(host.json_encode), decode = raising(host.json_decode), null = host.null, array = host.array }
globals.json = freeze("json", libraries.json)
globals.env = freeze("env", setmetatable({}, {
  __index = function(_, name)
    local value, mistake, denied = host.variable(name)
    if denied then deny("env", mistake) end
    return value
  end,
}), function()
  local names, at = host.variables(), 0
  return function()
    at = at + 1
    if names[at] then return names[at], (host.variable(names[at])) end
  end
end)
globals.require = require
globals.xpcall = xpcall
globals.rawset = function(table, key, value)
  local refuse = frozen[table]
  if refuse then return refuse(table, key) end
  return rawset(table, key, value)
end
globals.setmetatable = host.setmetatable
globals.print = function(...) host.log("info", display(...)) end
globals.sleep = function(seconds)
  local ticket, mistake = host.sleep(seconds, isyieldable())
  if not ticket then error(mistake, 2) end
  await("sleep", ticket)
end

-- One coroutine runs handler after handler: `false, failure` tells the worker that one failed, `true` that it did not.
local function drive(notification, handler, rule)
  local describe = host.describe
  while true do
    notification, handler, rule = yield(xpcall(handler, describe, notification, rule))
  end
end

return {
  drive = drive,
  freeze = freeze,
  libraries = libraries,
  lookup = function(asked) return asked[1][asked[2]] end,
  pending = PENDING,
  refusal = Refusal,
  methods_environment = { may_save = host.may_save, save = host.save_file, deny = deny, place = host.place },
}
