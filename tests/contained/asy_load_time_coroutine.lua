-- expect: load
assert(coroutine.resume(coroutine.create(function() sleep(3600) end)))
return function() end
