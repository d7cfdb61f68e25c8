-- expect: cpu
-- rule: memory=8MiB cpu=300ms
-- Much that is dropped at once is no breach: it is collected.
return require "attack"(function()
  while true do
    local _ = { ("x"):rep(100000) }
  end
end)
