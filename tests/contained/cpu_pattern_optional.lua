-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  return (("a"):rep(32)):find(("a?"):rep(32) .. ("a"):rep(33))
end)
