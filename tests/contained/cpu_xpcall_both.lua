-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local function loop() while true do end end
  while true do
    xpcall(loop, function() while true do xpcall(loop, loop) end end)
  end
end)
