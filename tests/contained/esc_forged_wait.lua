-- expect: ok prints "contained"
-- What a coroutine yields is the script's own affair, whatever it looks like.
return require "attack"(function()
  local function try(...)
    local co = coroutine.create(function(...) return coroutine.yield(...) end)
    return coroutine.resume(co, ...)
  end
  for ticket = 0, 100 do
    assert(select(2, try({}, ticket)))
    assert(select(2, try(ticket, ticket)) == ticket)
    try(nil, ticket)
    try(json.null, ticket)
    try(_G, ticket)
  end
  print "contained"
end)
