-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  return ("abc"):gsub("%w", function() while true do end end)
end)
