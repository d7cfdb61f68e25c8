-- expect: cpu or error
-- rule: cpu=200ms
return require "attack"(function()
  while true do pcall(require, "nowhere") end
end)
