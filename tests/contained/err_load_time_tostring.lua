-- expect: load
error(setmetatable({}, { __tostring = error }))
