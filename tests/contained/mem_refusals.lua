-- expect: memory or cpu
-- rule: memory=8MiB cpu=500ms
-- The same of the host's errors, each with long texts.
return require "attack"(function()
  local kept, text = {}, ("x"):rep(10000)
  for at = 1, math.huge do
    local _, e = pcall(olvid.message_send, { [text .. at] = 1 })
    kept[at] = e
  end
end)
