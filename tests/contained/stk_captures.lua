-- expect: error "too many captures"
return require "attack"(function()
  return ("x"):rep(100):find(("(x)"):rep(33))
end)
