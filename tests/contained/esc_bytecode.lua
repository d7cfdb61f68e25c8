-- expect: ok prints "contained"
-- Only text is compiled.
return require "attack"(function()
  for _, mode in ipairs { "b", "bt", "t" } do
    assert(not load("\27LuaT\0\25\147\r\n\26\n", "=x", mode), mode)
    local first = true
    local chunk = load(function()
      if first then first = false return "\27Lua" end
    end, "=x", mode)
    assert(not chunk, mode)
  end
  assert(not load "\27")
  print "contained"
end)
