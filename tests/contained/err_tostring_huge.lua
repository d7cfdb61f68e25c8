-- expect: error or memory
-- rule: memory=16MiB
return require "attack"(function()
  error(setmetatable({}, { __tostring = function() return ("x"):rep(4 << 20) end }))
end)
