-- expect: load "here is what it knows"
error("here is what it knows: " .. tostring(_G) .. json.encode { 1 } .. tostring(olvid))
