-- expect: ok prints "contained"
-- `outside.lua` and `away` are links that lead out of the directory.
return require "attack"(function()
  for _, name in ipairs { "outside", "away.secret", "away.init", "away" } do
    local ok, value = pcall(require, name)
    assert(not ok, name)
    assert(not tostring(value):find "escaped", "the text of a file is told")
  end
  print "contained"
end)
