-- expect: ok prints "contained"
-- rule: memory=8MiB cpu=10s
return require "attack"(function()
  for at = 1, 2000 do
    local _ = { ("x"):rep(100000) .. at }
  end
  print "contained"
end)
