return function(notification, rule) end
