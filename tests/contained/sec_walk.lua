-- expect: ok prints "contained"
-- rule: output=1MiB cpu=10s
-- Everything that can be reached, as text. (The test looks for the key in all that was said.)
return require "attack"(function(...)
  local seen = {}
  local function walk(value)
    if seen[value] then return end
    seen[value] = true
    log.debug(tostring(value))
    if type(value) ~= "table" then return end
    for key, inner in pairs(value) do
      walk(key)
      walk(inner)
    end
    local meta = getmetatable(value)
    if meta then walk(meta) end
  end
  walk(_G)
  walk { ... }
  walk(_ENV)
  print "contained"
end)
