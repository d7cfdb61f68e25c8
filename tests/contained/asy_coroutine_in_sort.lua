-- expect: error "cannot wait"
-- The coroutine could wait, the one that resumes it could not.
return require "attack"(function()
  local co = coroutine.create(function() olvid.identity_get {} end)
  table.sort({ 2, 1 }, function()
    local ok, e = coroutine.resume(co)
    if not ok then error(e, 0) end
    return true
  end)
end)
