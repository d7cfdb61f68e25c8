-- expect: ok prints "contained" or cpu
-- rule: cpu=100ms
return require "attack"(function()
  local function loop() while true do end end
  log.info("fields", setmetatable({}, { __index = loop, __pairs = loop, __len = loop, __tostring = loop }))
  print "contained"
end)
