-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  while true do ("%99.99f %q"):format(1e308, ("\0"):rep(10000)) end
end)
