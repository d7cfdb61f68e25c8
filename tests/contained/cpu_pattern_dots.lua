-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  return ("a"):rep(3000):find ".-.-.-b"
end)
