-- expect: ok prints "contained"
-- rule: memory=8MiB
-- Tables that grow and shrink, within what there is.
return require "attack"(function()
  local list = {}
  for round = 1, 50 do
    for at = 1, 1000 * (round % 7) do list[at] = { at } end
    for at = #list, 1, -1 do list[at] = nil end
  end
  print "contained"
end)
