-- expect: error "message_send"
return require "attack"(function() olvid.mesage_send { body = "x" } end)
