-- expect: error
return require "attack"(function()
  load("error 'from elsewhere'", "@" .. ("x"):rep(100000) .. "\n\27[31m")()
end)
