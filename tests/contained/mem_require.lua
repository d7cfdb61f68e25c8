-- expect: ok prints "contained"
-- Each module that is not there is recorded by the host, to be watched for.
return require "attack"(function()
  for at = 1, 20000 do assert(not pcall(require, "none" .. at)) end
  assert(not pcall(require, ("x"):rep(1000000)))
  print "contained"
end)
