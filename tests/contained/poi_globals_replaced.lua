-- expect: ok prints "contained"
-- Every global is something that loops; the host does not look for its own things there.
return require "attack"(function()
  local say, globals, names = print, _G, {}
  for name in pairs(_G) do names[#names + 1] = name end
  local function loop() while true do end end
  for _, name in ipairs(names) do globals[name] = loop end
  say "contained"
end)
