-- expect: error "attempt to index"
return require "attack"(function(notification) return notification.contact.display_name end)
