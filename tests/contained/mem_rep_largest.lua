-- expect: memory or error
-- rule: memory=8MiB
return require "attack"(function()
  return ("x"):rep(math.maxinteger)
end)
