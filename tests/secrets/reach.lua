-- Looks for the canary in everything that a handler can reach, says where it is, and does what may bring it out.
local CANARY = "c4n4" .. "ry"

local found, values, seen = {}, 0, {}

local function look(value, path, depth)
  values = values + 1
  if type(value) == "string" and value:find(CANARY, 1, true) then found[#found + 1] = path end
  local ok, text = pcall(tostring, value)
  if ok and text:find(CANARY, 1, true) then found[#found + 1] = "tostring of " .. path end
  local meta = getmetatable(value)
  if type(meta) == "table" and not seen[meta] then look(meta, path .. "<metatable>", depth + 1) end
  if type(value) ~= "table" or seen[value] or depth > 8 then return end
  seen[value] = true
  for key, inner in pairs(value) do
    look(key, path .. "<key>", depth + 1)
    look(inner, path .. "." .. tostring(key), depth + 1)
  end
end

local function attempt(name, call, ...)
  local result = table.pack(pcall(call, ...))
  for at = 2, result.n do look(result[at], name, 0) end
end

return function(notification, rule)
  look(_G, "_G", 0)
  look(notification, "notification", 0)
  look(rule, "rule", 0)
  for _, name in ipairs{ "key", "/proc/self/environ", "../site/key", ".env", "io", "os", "ffi" } do
    attempt("require " .. name, require, name)
  end
  local discussion = notification.message.discussion_id
  -- Refused by a daemon that repeats the key that it was sent, and by us.
  attempt("refused", olvid.message_react, { message_id = notification.message.id, reaction = "x" })
  attempt("unfit", olvid.message_send, { discussion_id = "x", none = 1 })
  attempt("who we are", olvid.identity_get)
  attempt("administration", olvid.authentication_admin_test)
  -- What the system shows of the process, sent as a file and read again.
  for _, path in ipairs{ "/proc/self/environ", "/proc/self/cmdline" } do
    attempt("send " .. path, function()
      local files = { { path = path } }
      local sent = olvid.message_send_with_attachments{ discussion_id = discussion, body = path, files = files }
      for _, attachment in ipairs(sent.attachments) do
        look(olvid.attachment_download{ attachment_id = attachment.id }, path, 0)
      end
    end)
  end
  log.debug("debug", { rule = rule, globals = tostring(_G) })
  print("reached " .. (#found == 0 and "nothing" or table.concat(found, ", ")) .. (values > 200 and "" or " of little"))
  error({ globals = tostring(_G) })
end
