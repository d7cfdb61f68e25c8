-- expect: load
require "outside"
return function() end
