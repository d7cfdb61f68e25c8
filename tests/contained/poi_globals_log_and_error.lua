-- expect: error "at last"
-- An error is described without what the script can replace.
return require "attack"(function()
  local raise = error
  local function loop() while true do end end
  tostring, error, pcall, xpcall, type, select, getmetatable, json, string, table = loop, loop, loop, loop, loop, loop, loop, loop, loop, loop
  raise "at last"
end)
