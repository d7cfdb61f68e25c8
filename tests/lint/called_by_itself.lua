-- message_received:on_message message_sent:on_sent
-- A handler that the script calls itself may be called with anything.
local M = {}
function M.on_message(notification) print(notification.edited, notification.message) end
function M.on_sent(notification) return M.on_message { message = notification.message, again = notification.nothing } end
return M
