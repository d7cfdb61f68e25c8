-- expect: memory
-- rule: memory=8MiB
return require "attack"(function()
  local list = {}
  while true do list[#list + 1] = #list end
end)
