-- expect: ok prints "contained"
return require "attack"(function()
  local names = {
    "..secret", "../secret", "lib...secret", "..", ".", "", "./secret", "lib/../../secret", "lib..secret", ".secret",
    "lib.", "..\\secret",
  }
  for _, name in ipairs(names) do
    local ok = pcall(require, name)
    assert(not ok, name)
  end
  print "contained"
end)
