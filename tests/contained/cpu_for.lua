-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  for _ = 1, math.maxinteger do end
end)
