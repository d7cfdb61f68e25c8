-- expect: ok prints "contained" prints "later"
-- What the handler is told of its rule is told to the next run as it was.
return require "attack"(function(_, rule)
  for key in pairs(rule) do pcall(function() rule[key] = "poison" end) end
  pcall(function() rule.poison = true end)
  pcall(rawset, rule, "poison", true)
  pcall(rawset, rule, "name", "poison")
  pcall(setmetatable, rule, { __index = function() return "poison" end })
  print "contained"
end, function(_, rule)
  assert(rule.name == "poi_rule" and rule.subscription == "message_received" and rule.poison == nil)
  print "later"
end)
