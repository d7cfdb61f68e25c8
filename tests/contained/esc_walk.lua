-- expect: ok prints "contained"
-- Nothing of that is hidden deeper, in whatever table.
return require "attack"(function(...)
  local bad = {}
  for word in ("debug dofile dump execute exit getenv getregistry gethook getinfo getlocal getupvalue loadfile loadlib "
    .. "newproxy popen remove rename searchers sethook setlocale setlocal setmetatable_ setupvalue tmpname upvalueid "
    .. "upvaluejoin preload cpath"):gmatch "%S+" do bad[word] = true end
  bad.remove = nil -- of tables
  local seen = {}
  local function walk(value, path)
    if type(value) ~= "table" or seen[value] then return end
    seen[value] = true
    for key, inner in pairs(value) do
      local name = path .. "." .. tostring(key)
      assert(not bad[key] or name == "_G.log.debug", name)
      walk(key, name)
      walk(inner, name)
      walk(getmetatable(inner), name .. "!")
    end
  end
  walk(_G, "_G")
  walk({ ... }, "arguments")
  print "contained"
end)
