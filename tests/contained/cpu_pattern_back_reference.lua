-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  return ("a"):rep(4000):find "(.*)(.*)%1%2b"
end)
