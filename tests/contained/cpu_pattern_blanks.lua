-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  return ((" "):rep(256 << 10) .. "x"):find "%s*$"
end)
