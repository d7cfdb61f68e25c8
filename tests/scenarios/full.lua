-- What is kept fills its memory, so that only another VM helps.
local kept = {}

return function(notification)
  if notification.message.body == "!full" then
    while true do
      kept[#kept + 1] = ("x"):rep(1000) .. #kept
    end
  end
  notification.message:reply("kept " .. #kept)
end
