-- expect: ok prints "contained"
return require "attack"(function()
  local function refusal()
    local _, e = pcall(olvid.message_send, { nonsense = 1 })
    return e
  end
  local first = refusal()
  first.code, first.poison = "poison", true
  assert(type(getmetatable(first)) ~= "table")
  local second = refusal()
  assert(second.code == "INVALID_ARGUMENT" and second.poison == nil and tostring(second):find "message_send")
  print "contained"
end)
