-- A module that needs itself.
return require "lib.itself"
