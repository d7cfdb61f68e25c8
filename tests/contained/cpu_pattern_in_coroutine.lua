-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local co = coroutine.create(string.find)
  coroutine.resume(co, ("a"):rep(3000), ".-.-.-b")
  print "escaped: it went on behind resume"
end)
