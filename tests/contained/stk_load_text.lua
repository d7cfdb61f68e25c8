-- expect: ok prints "contained"
-- Texts that nest deeper than a compiler may follow.
return require "attack"(function()
  for _, opening in ipairs { "(", "{", "a[", "f(", "do ", "- ", "not ", "function() ", "a=function() " } do
    local chunk = load("return " .. opening:rep(10000))
    if chunk then print "escaped" end
    load(opening:rep(10000))
  end
  load("return " .. ("a^"):rep(10000) .. "1")
  load("return " .. ("a.."):rep(10000) .. "1")
  print "contained"
end)
