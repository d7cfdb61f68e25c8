-- expect: error
return require "attack"(function()
  coroutine.wrap(function() error(setmetatable({}, { __tostring = error })) end)()
end)
