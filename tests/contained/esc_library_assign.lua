-- expect: ok prints "contained"
-- What all share cannot be changed.
return require "attack"(function()
  local function broken() return "escaped" end
  for name, library in pairs { string = string, table = table, math = math, utf8 = utf8, os = os, json = json, log = log } do
    for key in pairs(library) do
      local before = library[key]
      pcall(function() library[key] = broken end)
      assert(library[key] == before, name .. "." .. key)
      pcall(function() library[key] = nil end)
      assert(library[key] == before, name .. "." .. key)
    end
    pcall(function() library.new_name = broken end)
    assert(library.new_name == nil, name)
  end
  print "contained"
end)
