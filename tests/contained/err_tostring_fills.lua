-- expect: error or memory
-- rule: memory=8MiB
return require "attack"(function()
  error(setmetatable({}, { __tostring = function() return ("x"):rep(100 << 20) end }))
end)
