-- expect: output
return require "attack"(function()
  while true do
    coroutine.resume(coroutine.create(function() print(("x"):rep(1000)) end))
  end
end)
