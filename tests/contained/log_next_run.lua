-- expect: output prints "later"
-- rule: output=2KiB
-- The limit is each run's own.
return require "attack"(function()
  while true do print(("x"):rep(1000)) end
end, function()
  print(("x"):rep(1000))
  print "later"
end)
