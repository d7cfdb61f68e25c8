-- expect: memory
-- rule: memory=8MiB
return require "attack"(function()
  local chain = function() end
  while true do
    local held, before = ("x"):rep(100), chain
    chain = function() return held, before end
  end
end)
