-- Prints everything that a script can reach, a line each: the path, and what is there. `surface.txt` is what it may be.
local lines, seen = {}, {}

local function note(path, value) lines[#lines + 1] = path .. "  " .. type(value) end

local function name(key)
  if type(key) == "string" then return key end
  return "[" .. type(key) .. "]"
end

local function walk(path, value)
  if value == nil then return end
  note(path, value)
  if seen[value] then
    if type(value) == "table" then lines[#lines] = path .. "  = " .. seen[value] end
    return
  end
  seen[value] = path
  local meta = getmetatable(value)
  if meta ~= nil then walk(path .. "!", meta) end
  if type(value) ~= "table" then return end
  local found = {}
  for key, inner in pairs(value) do found[#found + 1] = { name(key), inner } end
  for key in next, value do
    if type(key) ~= "string" or value[key] == nil then found[#found + 1] = { "raw " .. name(key), rawget(value, key) } end
  end
  table.sort(found, function(a, b) return a[1] < b[1] end)
  for _, each in ipairs(found) do walk(path .. "." .. each[1], each[2]) end
end

-- Methods cannot be listed: every word of the file that they are in is tried.
local function methods(path, object)
  for _, word in ipairs(require "words") do
    local value = rawget(object, word) == nil and object[word]
    if value then note(path .. ":" .. word, value) end
  end
end

return function(notification, rule)
  walk("_G", _G)
  walk("_ENV", _ENV)
  for kind, value in pairs { string = "", number = 1, boolean = true, ["function"] = print, thread = coroutine.create(print) } do
    local meta = getmetatable(value)
    note("metatable of a " .. kind, meta)
  end
  walk("notification", notification)
  walk("rule", rule)
  local _, refusal = pcall(olvid.message_send, { nonsense = 1 })
  walk("refusal", refusal)
  local iterator, state, first, stream = olvid.contact_list {}
  methods("message", notification.message)
  methods("identity", olvid.identity_get {})
  for contact in olvid.contact_list {} do methods("contact", contact) break end
  for discussion in olvid.discussion_list {} do methods("discussion", discussion) break end
  methods("list", notification.message.reactions)
  walk("list.iterator", iterator)
  walk("list.state", state)
  walk("list.first", first)
  walk("list.closing", stream)
  walk("json.decode", json.decode '{"a": [1, null]}')
  walk("require", require "lib.shared")
  table.sort(lines)
  for _, line in ipairs(lines) do print("surface " .. line) end
  print "surface end"
end
