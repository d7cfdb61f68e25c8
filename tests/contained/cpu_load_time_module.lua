-- expect: load
-- The loop is in a module.
require "lib.loops"
return function() end
