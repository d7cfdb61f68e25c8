-- expect: cpu
-- rule: cpu=200ms
-- Each step looks through a set of a hundred thousand members.
return require "attack"(function()
  local set = "[" .. ("ab"):rep(50000) .. "]"
  return ("c"):rep(1 << 20):find(set)
end)
