-- What does not exist here, and what the globals do not take.

---@param notification olvid.MessageReceivedNotification
return function(notification)
  local message = notification.message
  local file = io.open("x") --luals! undefined-global
  os.execute("x") --luals! undefined-field
  os.remove("x") --luals! undefined-field
  os.exit() --luals! undefined-field
  log.info(os.getenv("HOME")) --luals! undefined-field
  log.info(string.dump(print)) --luals! undefined-field
  log.info(debug.traceback()) --luals! undefined-global
  log.info(package.path) --luals! undefined-global
  dofile("x.lua") --luals! undefined-global
  collectgarbage() --luals! undefined-global
  log.warning("x") --! undefined-field
  log.info("x", "y") --! param-type-mismatch
  log.info("x", {}, 1) --! redundant-parameter
  sleep("1s") --! param-type-mismatch
  sleep() --! missing-parameter
  wait(1) --! undefined-global
  json.parse("{}") --! undefined-field
  log.info(json.decode(5)) --! param-type-mismatch
  log.info(message.body:uper()) --! undefined-field
  reply(message) --! undefined-global
  log.info(tostring(file))
  log.info(env.LANG:upper()) --! need-check-nil
end
