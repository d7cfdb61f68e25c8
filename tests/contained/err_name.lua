-- expect: error
return require "attack"(function()
  error(setmetatable({}, { __name = ("x"):rep(1 << 20) .. "\n\27[31m" }))
end)
