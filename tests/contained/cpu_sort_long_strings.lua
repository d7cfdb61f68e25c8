-- expect: cpu
-- rule: cpu=200ms
-- Each comparison looks at a megabyte.
return require "attack"(function()
  local text, list = ("x"):rep(1 << 20), {}
  local texts = { text .. "a", text .. "b" }
  for at = 1, 100000 do list[at] = texts[at % 2 + 1] end
  table.sort(list)
end)
