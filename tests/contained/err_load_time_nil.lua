-- expect: load
error(nil)
