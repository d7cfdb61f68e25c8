-- message_received
-- What looks wrong and may be right.
local helper = {}
local script, nothing = ...
if nothing then print(script, nothing.whatever) end
local api, names = olvid, { body = true }
function helper:greet(name) return self.greeting .. name end
local unpack, load = table.unpack or unpack, loadstring or load
_G.counter = (_G.counter or 0) + 1
local function first(list) return list and list[1] end

return function(notification, rule)
  local message = notification.message
  message.seen = true
  print(message.seen, rule.name, rule.caught_up)
  local other = message
  other = { anything = 1 }
  print(other.anything, first(message.reactions), names.nothing)
  local log = { note = print }
  log.note "x"
  api.frobnicate = nil
  local field = "bdy"
  print(message[field], message.reactions.n)
  olvid.message_send { discussion_id = message.discussion_id, body = tostring(7), ["reply" .. "_id"] = 1 }
  olvid.message_send(helper)
  for name, value in pairs(message) do print(name, value) end
  for _, reaction in ipairs(message.reactions or {}) do print(reaction.whatever) end
  repeat local done = true until done
  for at = 1, 3 do
    if at == 2 then goto continue end
    ::continue::
  end
  if message.id.type == first { "TYPE_INBOUND" } then return end
  local function recursive(n) return n == 0 or recursive(n - 1) end
  recursive(3)
  print(_G.whatever, _ENV, message.reply)
  table.insert(message.reactions, { added = "x", emoji = unpack { load } })
  for _, reaction in ipairs(message.reactions) do print(reaction.added, reaction.emoji) end
  rawset(message, "raw", 1)
  print(message.raw, counter, message.id.type == "TYPE_INBOUND")
  olvid.discussion_list { filter = { contact_id = field and 1 or nil, group_id = message.discussion_id } }
  olvid.message_send { discussion_id = 7.0, body = "x" }
  olvid.message_send { discussion_id = 1e3, body = "x" }
  print(("x"):whatever(), message.body:upper())
  message.sender = helper.greet
  message.replied_message_id, other.reactions = { nothing = 1 }, first
  print(message.replied_message_id.nothing)
  for each in message.reactions do print(each) end
  print(message:sender().whatever, message:discussion().title, message:sender())
  for each in first(olvid) do print(each) end
  for each in pairs(message.reactions) do print(each) end
  local function ipairs_of(list) return list end
  for _, each in ipairs_of(olvid.contact_list {}) do print(each) end
  local list = {}
  for contact in olvid.contact_list {} do list[#list + 1] = contact end
  print(#list, #message.body)
end
