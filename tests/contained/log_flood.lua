-- expect: output
return require "attack"(function()
  while true do print(("x"):rep(1000)) end
end)
