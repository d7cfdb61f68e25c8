-- expect: memory
-- rule: memory=8MiB
-- Error values that are kept.
return require "attack"(function()
  local kept = {}
  for at = 1, math.huge do
    local _, e = pcall(error, ("x"):rep(1000) .. at)
    kept[at] = e
  end
end)
