-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  while true do
    pcall(pcall, pcall, pcall, pcall, function() while true do end end)
  end
end)
