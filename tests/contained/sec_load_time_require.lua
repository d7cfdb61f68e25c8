-- expect: load
require "secret_key"
return function() end
