-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  table.sort({ 3, 2, 1 }, function() while true do end end)
end)
