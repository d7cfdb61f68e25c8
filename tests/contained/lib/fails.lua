-- A module that fails.
error "in the module"
