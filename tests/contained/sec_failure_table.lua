-- expect: error
return require "attack"(function(notification, rule)
  error { notification = notification, rule = rule }
end)
