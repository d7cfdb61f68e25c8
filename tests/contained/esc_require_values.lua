-- expect: ok prints "contained"
return require "attack"(function()
  local name = setmetatable({}, { __tostring = function() return "attack" end })
  for _, value in pairs { 1.5, true, {}, print, name, coroutine.create(print), json.null } do
    assert(not pcall(require, value))
  end
  assert(not pcall(require))
  assert(not pcall(require, 0 / 0))
  print "contained"
end)
