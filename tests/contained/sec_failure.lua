-- expect: error "everything"
-- What is told of a run that fails.
return require "attack"(function(notification, rule)
  error("everything: " .. json.encode { notification, rule }, 0)
end)
