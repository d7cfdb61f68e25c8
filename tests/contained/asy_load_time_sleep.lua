-- expect: load "for handlers"
sleep(3600)
return function() end
