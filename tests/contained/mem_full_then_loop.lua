-- expect: memory or cpu
-- rule: memory=8MiB cpu=300ms
-- With no byte left, nothing that must allocate can end the run.
return require "attack"(function()
  local kept = {}
  local function fill(size)
    while true do kept[#kept + 1] = ("x"):rep(size) .. #kept end
  end
  for size = 4096, 1, -256 do pcall(fill, size) end
  while true do end
end)
