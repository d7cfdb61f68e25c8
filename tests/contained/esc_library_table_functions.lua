-- expect: ok prints "contained"
-- The functions of `table` write, too.
return require "attack"(function()
  for name, library in pairs { string = string, json = json, log = log, olvid = olvid, coroutine = coroutine } do
    pcall(table.insert, library, "escaped")
    pcall(table.move, { "escaped" }, 1, 1, 1, library)
    pcall(table.move, { "escaped" }, 1, 1, 100, library)
    pcall(table.sort, library)
    local ok, first = pcall(function() return library[1] end)
    assert(not (ok and first), name)
    assert(rawget(library, 1) == nil and rawget(library, 100) == nil, name)
  end
  print "contained"
end)
