-- expect: ok prints "contained"
-- What is not on the list of allowed names does not exist.
return require "attack"(function()
  local absent = {
    "arg", "bit32", "collectgarbage", "debug", "dofile", "io", "jit", "loadfile", "loadstring", "module", "newproxy",
    "package", "setfenv", "unpack", "warn",
  }
  for _, name in ipairs(absent) do assert(_G[name] == nil, name) end
  local os_absent = { "execute", "exit", "getenv", "remove", "rename", "setlocale", "tmpname" }
  for _, name in ipairs(os_absent) do assert(os[name] == nil, name) end
  assert(string.dump == nil, "string.dump")
  print "contained"
end)
