return { on_rename = function(notification, rule) end }
