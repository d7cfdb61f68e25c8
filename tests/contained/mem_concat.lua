-- expect: memory or error
-- rule: memory=8MiB
return require "attack"(function()
  local text, list = ("x"):rep(100000), {}
  for at = 1, 1000 do list[at] = text end
  return table.concat(list)
end)
