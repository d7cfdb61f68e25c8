-- expect: error "olvid.message_send"
return require "attack"(function() olvid.message_send { nonsense = 1 } end)
