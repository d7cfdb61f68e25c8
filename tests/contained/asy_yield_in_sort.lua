-- expect: error "attempt to yield across a C-call boundary"
return require "attack"(function()
  coroutine.wrap(function()
    table.sort({ 2, 1 }, function() coroutine.yield() end)
  end)()
end)
