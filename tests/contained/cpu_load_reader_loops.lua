-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  load(function() while true do end end)
end)
