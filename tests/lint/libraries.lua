-- message_received
return function(notification)
  log.inof(notification.message.body)
  print(string.trim "x", ("x"):rep(3), table.getn {}, math.pow(2, 3), json.encod {}, os.execute "x")
  coroutine.warp(print)
end
