-- expect: output
return require "attack"(function()
  while true do log.warn("x", { text = ("x"):rep(1000) }) end
end)
