-- expect: ok prints "contained"
-- A pipe, a device and a directory that are called like modules.
return require "attack"(function()
  for _, name in ipairs { "pipe", "device", "folder" } do assert(not pcall(require, name), name) end
  print "contained"
end)
