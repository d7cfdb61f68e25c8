-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  for _ in ("a"):rep(100000):gmatch ".-.-b" do end
end)
