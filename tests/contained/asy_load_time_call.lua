-- expect: load "for handlers"
olvid.identity_get {}
return function() end
