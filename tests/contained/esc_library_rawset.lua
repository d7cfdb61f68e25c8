-- expect: ok prints "contained"
return require "attack"(function()
  local function broken() return "escaped" end
  local shared = {
    string = string, table = table, math = math, utf8 = utf8, os = os, json = json, log = log, olvid = olvid,
    coroutine = coroutine,
  }
  local names = {
    string = "format", table = "concat", math = "floor", utf8 = "char", os = "time", json = "encode", log = "info",
    olvid = "message_send", coroutine = "create",
  }
  for name, library in pairs(shared) do
    local before = library[names[name]]
    pcall(rawset, library, names[name], broken)
    assert(library[names[name]] == before, name)
    pcall(rawset, library, "new_name", broken)
    if name ~= "olvid" then assert(library.new_name == nil, name) end
  end
  print "contained"
end)
