-- A module that fails with a value that cannot be shown.
error(setmetatable({}, { __tostring = error }))
