-- expect: ok prints "contained"
return require "attack"(function(notification, rule)
  print(json.encode(notification), json.encode(rule))
  print(tostring(olvid), tostring(log), tostring(json), tostring(notification.message))
  log.info("contained", { rule = rule, notification = notification })
end)
