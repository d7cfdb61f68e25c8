-- expect: memory or error
-- rule: memory=8MiB
return require "attack"(function()
  local text = ("x"):rep(10000)
  return text:gsub(".*", ("%0"):rep(10000))
end)
