-- expect: ok prints "contained" or memory
-- rule: memory=8MiB
-- A thousand iterators over one text: it must be there once.
return require "attack"(function()
  local text, kept = ("x"):rep(3 << 20), {}
  for at = 1, 1000 do
    kept[at] = text:gmatch "x"
    kept[at]()
  end
  print "contained"
end)
