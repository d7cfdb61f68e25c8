local handlers = {}

function handlers.ping(notification)
  log.info("asked", { by = notification.message.sender_id })
  notification.message:reply("pong")
end

function handlers.twice(notification)
  notification.message:reply("one")
  notification.message:reply("two")
end

function handlers.remind(notification)
  notification.message:reply("I shall.")
  sleep(3600)
  notification.message:reply("It is " .. os.date("%H:%M") .. ".")
end

function handlers.late(notification)
  sleep(60)
  notification.message:reply("too late")
end

function handlers.time(notification)
  local now = os.time()
  notification.message:reply(os.date("%Y-%m-%d %H:%M:%S", now) .. " " .. now .. " " .. os.date("!*t").year)
end

local function deeper() error("it is broken") end

function handlers.broken() deeper() end

function handlers.forever()
  while true do end
end

function handlers.many(notification)
  for number = 1, 12 do
    notification.message:reply(tostring(number))
  end
end

function handlers.contact(notification)
  olvid.message_send { discussion_id = 101, body = "hello " .. notification.contact.display_name }
end

function handlers.who(notification)
  local contact = olvid.contact_get { contact_id = notification.message.sender_id }
  notification.message:reply("you are " .. contact.display_name)
end

function handlers.file(notification)
  olvid.message_send_with_attachments {
    discussion_id = notification.message.discussion_id,
    body = "as you wished",
    files = { { filename = "a.txt", content = "hello" } },
  }
end

function handlers.endless()
  while true do
    sleep(1)
  end
end

return handlers
