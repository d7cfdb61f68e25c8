-- expect: error "xxxx" or memory
-- rule: memory=16MiB
return require "attack"(function()
  error(("x"):rep(4 << 20))
end)
