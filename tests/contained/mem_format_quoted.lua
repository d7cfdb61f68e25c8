-- expect: memory or error
-- rule: memory=8MiB
return require "attack"(function()
  return ("%q"):format(("\0"):rep(3 << 20))
end)
