-- expect: memory or cpu
-- rule: memory=8MiB cpu=300ms
return require "attack"(function()
  local function fill()
    local kept = {}
    while true do kept[#kept + 1] = {} end
  end
  while true do xpcall(fill, fill) end
end)
