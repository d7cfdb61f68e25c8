-- expect: ok prints "contained"
-- One that is added later, or comes by another metatable, is never called.
return require "attack"(function()
  local function loop() print "escaped" while true do end end
  local meta = {}
  setmetatable({}, meta)
  meta.__gc = loop
  local inherited = setmetatable({}, { __index = { __gc = loop }, __newindex = print })
  pcall(setmetatable, {}, inherited)
  for _ = 1, 100000 do local _ = { {} } end
  print "contained"
end)
