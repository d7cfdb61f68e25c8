-- Methods of received objects: the conveniences of the published client, written over `olvid.*`.
--
-- Returns, for each datatype, the table that its objects find their methods in. Every method exists under the name that
-- the published client has for it; the short ones (`send`, `sender`, `edit`) are this program's. Mistakes in arguments
-- are told before anything is sent, with the method's name and the script's line; refusals come from `olvid.*`.
--
-- What stands above a `define` with three dashes is its documentation: `olvid-rules types` and `docs/lua.md` are made of it.
-- So are the classes of options, which stand beside the code that reads them.
local host = ...

local olvid, mark_list = olvid, json.array
local error, pairs, ipairs, type, tostring = error, pairs, ipairs, type, tostring
local concat, sort, math_type = table.concat, table.sort, math.type

-- A key that no script has: under it, an object's methods say what the object is.
local KIND = {}

local function kind_of(value) return type(value) == "table" and value[KIND] or nil end

-- Raises an error at the script's line, however deep in this file it is found.
local function fail(method, text)
  local place = host.place()
  error((place and place .. ": " or "") .. method .. ": " .. text, 0)
end

local function article(noun) return (noun:find "^[AEIOUaeiou]" and "an " or "a ") .. noun end

local function described(value)
  if value == nil then return "nothing" end
  return article(kind_of(value) or type(value))
end

-- Makes the methods of a datatype. `define` takes all names of a method; its function gets the object, the method's name
-- for its mistakes, and the arguments.
local function datatype(kind)
  local methods, variable = { [KIND] = kind }, kind:lower()
  local function define(names, body)
    for name in names:gmatch("%S+") do
      local method = variable .. ":" .. name
      methods[name] = function(self, ...)
        if kind_of(self) ~= kind then
          fail(method, "called on " .. described(self) .. "; call it with a colon, on " .. article(kind))
        end
        return body(self, method, ...)
      end
    end
  end
  return methods, define
end

-- Arguments.

local function text(method, what, value)
  if type(value) == "string" then return value end
  local way_out = type(value) == "number" and "; tostring(...) makes a text of it" or ""
  fail(method, "expected " .. what .. ", found " .. described(value) .. way_out)
end

local function nothing_more(method, extra)
  if extra ~= nil then fail(method, "takes no further argument, found " .. described(extra)) end
end

-- Takes named options, each with the type it must have; several names may mean the same.
local function options(method, given, known)
  local taken = {}
  for name, value in pairs(given) do
    local option = known[name]
    if not option then
      local names = {}
      for each in pairs(known) do names[#names + 1] = each end
      sort(names)
      fail(method, "there is no option `" .. tostring(name) .. "`; it takes " .. concat(names, ", "))
    end
    if type(value) ~= option[2] then
      fail(method, "`" .. name .. "` is " .. article(option[2]) .. ", not " .. described(value))
    end
    taken[option[1]] = value
  end
  return taken
end

-- The id of an object that may be given itself or by its id.
local function id_of(method, kind, value)
  if kind_of(value) == kind then return value.id end
  if math_type(value) == "integer" then return value end
  fail(method, "expected " .. article(kind) .. " or its id, found " .. described(value))
end

local function copied(given)
  local copy = {}
  for name, value in pairs(given) do copy[name] = value end
  return copy
end

-- A file as uploads take it: a table with `content` and `filename`, or with `path`, or just the path.
local function file(method, what, given)
  if type(given) == "string" then return { path = given } end
  if type(given) == "table" then return given end
  fail(method, what .. " is a path or a table such as { filename = ..., content = ... }, not " .. described(given))
end

local function collected(iterator, ...)
  local list = mark_list {}
  for element in iterator, ... do list[#list + 1] = element end
  return list
end

-- Sending.

---A message to send.
---@class olvid.Draft
---@field body? string The text.
---@field files? (string|olvid.File)[] Files to send with it, each a path or a table.
---@field ephemerality? olvid.given.MessageEphemerality How long it lives.
---@field disable_link_preview? boolean Whether links in the text get no preview.

---A message to send in a discussion.
---@class olvid.Post: olvid.Draft
---@field reply_id? olvid.given.MessageId The message that it answers.

---An answer to a message.
---@class olvid.Reply: olvid.Draft
---@field quote? boolean Whether it is a reply to the very message.
---@field quote_message? boolean The same as `quote`, as the published client calls it.

local SENT = {
  body = { "body", "string" },
  files = { "files", "table" },
  ephemerality = { "ephemerality", "table" },
  disable_link_preview = { "disable_link_preview", "boolean" },
}

local function also(more)
  local all = copied(SENT)
  for name, option in pairs(more) do all[name] = option end
  return all
end

local POSTED = also { reply_id = { "reply_id", "table" } }
local REPLIED = also { quote = { "quote", "boolean" }, quote_message = { "quote", "boolean" } }

-- Reads what is to be sent: a text, a table of options with the text in `body`, or a text and a table.
local function draft(method, known, given, more, extra)
  nothing_more(method, extra)
  local taken
  if type(given) == "table" and not kind_of(given) then
    nothing_more(method, more)
    taken = options(method, given, known)
  else
    if more ~= nil and type(more) ~= "table" then
      fail(method, "what follows the text is a table of options, not " .. described(more))
    end
    text(method, "a text or a table of options", given)
    if more and more.body ~= nil then fail(method, "the text is given twice") end
    taken = options(method, more or {}, known)
    taken.body = given
  end
  if taken.files and #taken.files == 0 then taken.files = nil end
  if taken.body == nil and not taken.files then fail(method, "give a text, in `body`, or `files`") end
  return taken
end

-- Sends it; returns the message and, where there were files, the attachments.
local function send(method, discussion_id, taken)
  taken.discussion_id = discussion_id
  if not taken.files then return (olvid.message_send(taken)) end
  local files = {}
  for at, given in ipairs(taken.files) do files[at] = file(method, "files[" .. at .. "]", given) end
  taken.files = files
  local answer = olvid.message_send_with_attachments(taken)
  return answer.message, answer.attachments
end

-- Ids. They are equal when they name the same thing, and read `I12` (received) or `O7` (sent).

local function identifier(kind)
  local methods = { [KIND] = kind }
  methods.__tostring = function(id) return (id.type == "TYPE_INBOUND" and "I" or "O") .. tostring(id.id) end
  methods.__eq = function(a, b) return kind_of(a) == kind_of(b) and a.type == b.type and a.id == b.id end
  return methods
end

-- Messages.

local Message, define = datatype("Message")

---Whether somebody else wrote it.
---@return boolean
define("is_inbound", function(self) return self.sender_id ~= 0 end)

---Whether you wrote it.
---@return boolean
define("is_outbound", function(self) return self.sender_id == 0 end)

---The discussion that it is in.
---@return olvid.Discussion
define("discussion get_discussion", function(self) return olvid.discussion_get { discussion_id = self.discussion_id } end)

---Whether it is in a discussion with one contact.
---@return boolean
define("is_one_to_one_message", function(self)
  return olvid.discussion_get({ discussion_id = self.discussion_id }).contact_id ~= nil
end)

---Whether it is in a group's discussion.
---@return boolean
define("is_group_message", function(self)
  return olvid.discussion_get({ discussion_id = self.discussion_id }).group_id ~= nil
end)

---The contact who wrote it; nil for a message of one's own.
---@return olvid.Contact?
define("sender get_sender_contact", function(self)
  if self.sender_id == 0 then return nil end
  return olvid.contact_get { contact_id = self.sender_id }
end)

---Its attachments, as a list.
---@return olvid.Attachment[]
define("attachments get_attachments", function(self)
  return collected(olvid.attachment_list { filter = { message_id = self.id } })
end)

---Answers in the message's discussion; with `quote = true` as a reply to the very message.
---@param text string|olvid.Reply
---@param options? olvid.Reply
---@return olvid.Message message
---@return olvid.Attachment[]? attachments
define("reply", function(self, method, ...)
  local taken = draft(method, REPLIED, ...)
  if taken.quote then taken.reply_id = self.id end
  taken.quote = nil
  return send(method, self.discussion_id, taken)
end)

---Reacts to it, in place of an earlier reaction of yours.
---@param reaction string
define("react", function(self, method, reaction, extra)
  nothing_more(method, extra)
  olvid.message_react { message_id = self.id, reaction = text(method, "a reaction such as \"👍\"", reaction) }
end)

---Takes your reaction back.
define("remove_reaction", function(self) olvid.message_react { message_id = self.id, reaction = "" } end)

---A new version of a message.
---@class olvid.Edit
---@field body string The new text.

---Replaces its text; it must be your own message.
---@param text string|olvid.Edit
define("edit edit_body", function(self, method, given, extra)
  nothing_more(method, extra)
  if type(given) == "table" and not kind_of(given) then given = options(method, given, { body = SENT.body }).body end
  olvid.message_update_body { message_id = self.id, updated_body = text(method, "the new text", given) }
end)

---How something is deleted; an attachment is deleted here only.
---@class olvid.Deletion
---@field everywhere? boolean Whether it is deleted for everybody in the discussion.
---@field delete_everywhere? boolean The same, as the published client calls it.

local EVERYWHERE = { everywhere = { "everywhere", "boolean" }, delete_everywhere = { "everywhere", "boolean" } }

---Deletes it here; with `everywhere = true`, or just true, for everybody in the discussion.
---@param options? olvid.Deletion|boolean
define("delete", function(self, method, given, extra)
  nothing_more(method, extra)
  local everywhere = given
  if type(given) == "table" then
    everywhere = options(method, given, EVERYWHERE).everywhere
  elseif given ~= nil and type(given) ~= "boolean" then
    fail(method, "expected { everywhere = true }, found " .. described(given))
  end
  olvid.message_delete { message_id = self.id, delete_everywhere = everywhere or nil }
end)

-- Discussions.

local Discussion, define = datatype("Discussion")

---Sends a message. Returns it and, where there were files, the attachments.
---@param text string|olvid.Post
---@param options? olvid.Post
---@return olvid.Message message
---@return olvid.Attachment[]? attachments
define("send post_message", function(self, method, ...)
  return send(method, self.id, draft(method, POSTED, ...))
end)

---Whether it is a discussion with one contact.
---@return boolean
define("is_contact_discussion", function(self) return self.contact_id ~= nil end)

---Whether it is a group's.
---@return boolean
define("is_group_discussion", function(self) return self.group_id ~= nil end)

---The other side; nil where it is not of that kind.
---@return olvid.Contact?
define("contact get_contact", function(self)
  return self.contact_id and olvid.contact_get { contact_id = self.contact_id }
end)

---The group; nil where it is none's.
---@return olvid.Group?
define("group get_group", function(self) return self.group_id and olvid.group_get { group_id = self.group_id } end)

---Whether a message may be sent; false for a locked discussion.
---@return boolean
define("can_post_message", function(self)
  if self.contact_id then return olvid.contact_get({ contact_id = self.contact_id }):can_send_message() end
  return self.group_id ~= nil and olvid.group_get({ group_id = self.group_id }):can_send_message()
end)

---Deletes all its messages and attachments.
define("empty_discussion", function(self) olvid.discussion_empty { discussion_id = self.id } end)

---The bytes of its photo.
---@return string
define("download_photo", function(self) return olvid.discussion_download_photo { discussion_id = self.id } end)

---Its settings.
---@return olvid.DiscussionSettings
define("get_settings", function(self) return olvid.settings_discussion_get { discussion_id = self.id } end)

---Replaces all settings: what is not given is switched off. Returns those that hold from now on.
---@param settings olvid.given.DiscussionSettings
---@return olvid.DiscussionSettings
define("set_settings", function(self, method, settings, extra)
  nothing_more(method, extra)
  if type(settings) ~= "table" then fail(method, "expected a table of settings, found " .. described(settings)) end
  settings = copied(settings)
  settings.discussion_id = self.id
  return olvid.settings_discussion_set { discussion_settings = settings }
end)

-- Contacts.

local Contact, define = datatype("Contact")

---Whether there is a one-to-one discussion to write in.
---@return boolean
define("can_send_message", function(self) return self.has_one_to_one_discussion end)

---Sends a message in the one-to-one discussion. Returns it and, where there were files, the attachments.
---@param text string|olvid.Post
---@param options? olvid.Post
---@return olvid.Message message
---@return olvid.Attachment[]? attachments
define("send send_message", function(self, method, ...)
  local taken = draft(method, POSTED, ...)
  if not self.has_one_to_one_discussion then
    fail(method, "there is no one-to-one discussion with this contact; contact:invite_one_to_one() asks for one")
  end
  return send(method, olvid.discussion_get_by_contact({ contact_id = self.id }).id, taken)
end)

---The one-to-one discussion.
---@return olvid.Discussion
define("discussion get_discussion", function(self) return olvid.discussion_get_by_contact { contact_id = self.id } end)

---The groups that the contact is a member of or invited to.
---@return olvid.Group[]
define("groups get_groups", function(self)
  local groups, seen = mark_list {}, {}
  for _, members in ipairs { "member_filters", "pending_member_filters" } do
    for group in olvid.group_list { filter = { [members] = { { contact_id = self.id } } } } do
      if not seen[group.id] then groups[#groups + 1], seen[group.id] = group, true end
    end
  end
  return groups
end)

---Introduces the contact to another, given itself or by its id.
---@param other olvid.Contact|integer
define("introduce", function(self, method, other, extra)
  nothing_more(method, extra)
  olvid.contact_introduction { first_contact_id = self.id, second_contact_id = id_of(method, "Contact", other) }
end)

---Asks the contact for a one-to-one discussion; returns the invitation.
---@return olvid.Invitation
define("invite_one_to_one", function(self, method)
  if self.has_one_to_one_discussion then fail(method, "there is a one-to-one discussion with this contact already") end
  return olvid.contact_invite_to_one_to_one_discussion { contact_id = self.id }
end)

---Gives up the one-to-one discussion; the contact stays one.
define("downgrade_one_to_one", function(self, method)
  if not self.has_one_to_one_discussion then fail(method, "there is no one-to-one discussion with this contact") end
  olvid.contact_downgrade_one_to_one_discussion { contact_id = self.id }
end)

---Deletes the contact, on both sides.
define("delete", function(self) olvid.contact_delete { contact_id = self.id } end)

---The bytes of the photo.
---@return string
define("download_photo", function(self) return olvid.contact_download_photo { contact_id = self.id } end)

-- Groups.

local Group, define = datatype("Group")

local function may(group, permission) return group.own_permissions ~= nil and group.own_permissions[permission] end

---Whether you may write in it.
---@return boolean
define("can_send_message", function(self) return may(self, "send_message") end)

---Whether you are an admin of it.
---@return boolean
define("has_admin_permissions", function(self) return may(self, "admin") end)

---Sends a message to the group. Returns it and, where there were files, the attachments.
---@param text string|olvid.Post
---@param options? olvid.Post
---@return olvid.Message message
---@return olvid.Attachment[]? attachments
define("send send_message", function(self, method, ...)
  local taken = draft(method, POSTED, ...)
  if not may(self, "send_message") then fail(method, "you may not write in this group") end
  return send(method, olvid.discussion_get_by_group({ group_id = self.id }).id, taken)
end)

---The group's discussion.
---@return olvid.Discussion
define("discussion get_discussion", function(self) return olvid.discussion_get_by_group { group_id = self.id } end)

---Leaves the group, which goes on for the others; returns it.
---@return olvid.Group
define("leave", function(self) return olvid.group_leave { group_id = self.id } end)

---Closes the group for everybody; returns it.
---@return olvid.Group
define("disband", function(self) return olvid.group_disband { group_id = self.id } end)

---Invites contacts, given themselves or by their ids, with permissions for all of them or the daemon's own choice.
---Works on the group as it is now, not as it was when it was received; the object becomes what the daemon answers.
---@param contacts olvid.Contact|integer|(olvid.Contact|integer)[]
---@param permissions? olvid.given.GroupMemberPermissions
---@return olvid.Group
define("add_members", function(self, method, contacts, permissions, extra)
  nothing_more(method, extra)
  if permissions ~= nil and type(permissions) ~= "table" then
    fail(method, "permissions are a table such as { send_message = true }, not " .. described(permissions))
  end
  if type(contacts) ~= "table" or kind_of(contacts) then contacts = { contacts } end
  if #contacts == 0 then fail(method, "expected a list of contacts or their ids") end
  local ids = {}
  for at, contact in ipairs(contacts) do ids[at] = id_of(method, "Contact", contact) end
  if not may(self, "admin") then fail(method, "you are not an admin of this group") end
  local group = olvid.group_get { group_id = self.id }
  for _, id in ipairs(ids) do group.members[#group.members + 1] = { contact_id = id, permissions = permissions } end
  group = olvid.group_update { group = group }
  for name in pairs(self) do self[name] = nil end
  for name, value in pairs(group) do self[name] = value end
  return self
end)

---Gives the group a photo, from a path or from bytes.
---@param photo string|olvid.File
---@return olvid.Group
define("set_photo", function(self, method, given, extra)
  nothing_more(method, extra)
  local photo = copied(file(method, "the photo", given))
  photo.group_id = self.id
  return olvid.group_set_photo(photo)
end)

---Takes the group's photo away.
---@return olvid.Group
define("unset_photo", function(self) return olvid.group_unset_photo { group_id = self.id } end)

---The bytes of the photo.
---@return string
define("download_photo", function(self) return olvid.group_download_photo { group_id = self.id } end)

-- Attachments.

local Attachment, define = datatype("Attachment")

---Whether somebody else sent it.
---@return boolean
define("is_inbound", function(self) return self.id.type == "TYPE_INBOUND" end)

---Whether you sent it.
---@return boolean
define("is_outbound", function(self) return self.id.type == "TYPE_OUTBOUND" end)

---The message that it came with.
---@return olvid.Message
define("message get_message", function(self) return olvid.message_get { message_id = self.message_id } end)

---The whole content.
---@return string
define("download", function(self) return olvid.attachment_download { attachment_id = self.id } end)

---Saves the content in a folder, from the script's directory, and returns the path. The folder must be permitted. The
---name, by default the sender's, is made harmless, and where it is taken another is found: nothing is overwritten.
---@param folder string
---@param filename? string
---@return string path
define("save", function(self, method, folder, filename, extra)
  nothing_more(method, extra)
  text(method, "a folder", folder)
  if filename ~= nil then text(method, "a file name", filename) end
  local function settled(result, mistake, denied)
    if denied then host.deny(method, method .. ": " .. mistake) end
    if not result then fail(method, mistake) end
    return result
  end
  settled(host.may_save(folder))
  local content = olvid.attachment_download { attachment_id = self.id }
  return settled(host.save(folder, filename or self.file_name, content))
end)

---Deletes it, here only.
---@param options? olvid.Deletion
define("delete", function(self, method, given, extra)
  nothing_more(method, extra)
  local everywhere = given
  if type(given) == "table" then everywhere = options(method, given, EVERYWHERE).everywhere end
  if everywhere then
    fail(method, "an attachment is deleted here only; message:delete{ everywhere = true } deletes it with its message")
  end
  olvid.attachment_delete { attachment_id = self.id }
end)

-- Identities: one's own, that of the client key.

local Identity, define = datatype("Identity")

local DETAILS = {}
for _, name in ipairs { "first_name", "last_name", "company", "position" } do DETAILS[name] = { name, "string" } end

---Replaces all details: what is not given is removed.
---@param details olvid.given.IdentityDetails
define("update", function(self, method, details, extra)
  nothing_more(method, extra)
  if type(details) ~= "table" then
    fail(method, "expected a table such as { first_name = ..., last_name = ... }, found " .. described(details))
  end
  olvid.identity_update_details { new_details = options(method, details, DETAILS) }
end)

---Gives you a photo, from a path or from bytes.
---@param photo string|olvid.File
define("set_photo", function(self, method, given, extra)
  nothing_more(method, extra)
  olvid.identity_set_photo(file(method, "the photo", given))
end)

---Takes your photo away.
define("remove_photo", function(self) olvid.identity_remove_photo {} end)

---The bytes of your photo.
---@return string
define("download_photo", function(self) return olvid.identity_download_photo {} end)

---Sets the API key; returns what it permits.
---@param key string
---@return olvid.Identity.ApiKey
define("set_api_key", function(self, method, key, extra)
  nothing_more(method, extra)
  return olvid.identity_set_api_key { api_key = text(method, "an API key", key) }
end)

---Sets a configuration link; returns what its API key permits.
---@param link string
---@return olvid.Identity.ApiKey
define("set_configuration_link", function(self, method, link, extra)
  nothing_more(method, extra)
  return olvid.identity_set_configuration_link { configuration_link = text(method, "a configuration link", link) }
end)

-- Invitations.

local Invitation, define = datatype("Invitation")

---Accepts it.
define("accept", function(self) olvid.invitation_accept { invitation_id = self.id } end)

---Declines it.
define("decline", function(self) olvid.invitation_decline { invitation_id = self.id } end)

---Aborts it, whatever its status, and deletes it.
define("delete", function(self) olvid.invitation_delete { invitation_id = self.id } end)

---Enters the code that the other side shows.
---@param sas string
define("enter_sas", function(self, method, sas, extra)
  nothing_more(method, extra)
  olvid.invitation_sas { invitation_id = self.id, sas = text(method, "the other side's code", sas) }
end)

return {
  Message = Message,
  MessageId = identifier("MessageId"),
  Discussion = Discussion,
  Contact = Contact,
  Group = Group,
  Attachment = Attachment,
  AttachmentId = identifier("AttachmentId"),
  Identity = Identity,
  Invitation = Invitation,
}
