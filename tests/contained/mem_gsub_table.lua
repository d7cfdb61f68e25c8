-- expect: memory or error
-- rule: memory=8MiB
return require "attack"(function()
  return ("x"):rep(10000):gsub("x", { x = ("y"):rep(10000) })
end)
