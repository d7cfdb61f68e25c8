-- expect: ok prints "contained"
-- What is replaced while the script is loaded.
local attack, print = require "attack", print
for name in pairs(_G) do
  if name ~= "_G" then _G[name] = nil end
end
return attack(function() print "contained" end)
