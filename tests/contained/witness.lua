-- Sees what the scripts that poison want to reach: another rule, another script, the same notification. It is the canary
-- as well.
local EXPECTED = {
  string = "format find gsub rep sub", table = "concat insert sort unpack", math = "floor max random",
  json = "decode encode", log = "debug error info warn", coroutine = "create resume wrap yield", os = "clock date time",
}

local function look(notification, rule)
  for library, names in pairs(EXPECTED) do
    for name in names:gmatch "%S+" do
      if type(_G[library][name]) ~= "function" then return library .. "." .. name .. " is gone" end
    end
  end
  for name, value in pairs(_G) do
    if tostring(name):find "poison" or value == "poison" then return tostring(name) end
  end
  if ("%d"):format(7) ~= "7" or table.concat({ 1, 2 }, ",") ~= "1,2" then return "a library" end
  if json.encode { a = json.null } ~= '{"a":null}' then return "json" end
  if getmetatable(_G) or getmetatable(notification) or getmetatable(rule) then return "a metatable" end
  if notification.poison or notification.message.poison then return "a field" end
  if type(notification.message.reply) ~= "function" then return "a method" end
  if rule.poison or rule.subscription ~= "message_received" then return "the rule" end
  if pcall(function() return olvid.poison end) then return "a command" end
end

return function(notification, rule)
  local found = look(notification, rule)
  print(found and "escaped: " .. found or "seen " .. notification.message.body)
end
