-- expect: memory or cpu
-- rule: memory=8MiB cpu=300ms
-- The error of a full memory is caught each time.
return require "attack"(function()
  local kept = {}
  while true do
    pcall(function()
      while true do kept[#kept + 1] = ("x"):rep(1000) .. #kept end
    end)
  end
end)
