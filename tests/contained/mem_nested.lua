-- expect: memory
-- rule: memory=8MiB
return require "attack"(function()
  local chain
  while true do chain = { chain } end
end)
