-- expect: ok prints "contained"
-- Fields that are no table of names, and values without a form.
return require "attack"(function()
  local cycle = {}
  cycle.again = cycle
  for _, fields in pairs {
    1, "x", true, {}, { 1, 2, 3 }, { [1.5] = 1 }, { [true] = 1 }, { a = print }, { a = coroutine.create(print) },
    { a = 0 / 0 }, { a = 1 / 0 }, cycle, print, { a = "\xff" }, { ["\xff"] = 1 }, { [1] = 1, a = 2 }, json.null,
  } do
    log.info("odd", fields)
  end
  log.info("contained", nil)
end)
