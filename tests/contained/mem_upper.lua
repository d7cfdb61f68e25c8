-- expect: memory
-- rule: memory=8MiB
return require "attack"(function()
  local kept, text = {}, ("x"):rep(1 << 20)
  for at = 1, math.huge do kept[at] = (text .. at):upper():reverse():lower() end
end)
