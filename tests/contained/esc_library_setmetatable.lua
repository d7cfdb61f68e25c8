-- expect: ok prints "contained"
return require "attack"(function(notification)
  local shared = {
    string = string, table = table, math = math, utf8 = utf8, os = os, json = json, log = log, olvid = olvid,
    coroutine = coroutine, message = notification.message,
  }
  for name, library in pairs(shared) do
    assert(not pcall(setmetatable, library, { __index = function() return "escaped" end }), name)
    assert(not pcall(setmetatable, library, nil), name)
  end
  print "contained"
end)
