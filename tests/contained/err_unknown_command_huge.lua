-- expect: error or memory
-- rule: memory=16MiB
return require "attack"(function() olvid[("x"):rep(4 << 20)] {} end)
