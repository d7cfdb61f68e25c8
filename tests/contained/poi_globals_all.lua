-- expect: ok
-- Not one is left.
return require "attack"(function()
  local next, globals = next, _G
  while true do
    local name = next(globals)
    if name == nil then return end
    globals[name] = nil
  end
end)
