-- expect: memory or error
-- rule: memory=8MiB
return require "attack"(function()
  return ("x"):rep(100000, ("y"):rep(100000))
end)
