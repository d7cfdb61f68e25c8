-- expect: memory or cpu
-- rule: memory=8MiB cpu=200ms
return require "attack"(function()
  while true do pcall(string.rep, "x", 1000000000) end
end)
