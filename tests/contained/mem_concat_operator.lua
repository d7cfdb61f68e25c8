-- expect: memory
-- rule: memory=8MiB
return require "attack"(function()
  local t = ("x"):rep(1 << 20)
  return t .. t .. t .. t .. t .. t .. t .. t .. t .. t
end)
