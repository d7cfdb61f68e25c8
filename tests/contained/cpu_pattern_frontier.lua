-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  return ("a"):rep(100000):find ".-%f[%d].-%f[%d]"
end)
