-- A bot with commands. To add one, add it to the list: `!help` is made from it.

local commands = {}

-- `run` gets what follows the command and the message, and returns the answer.
local function command(name, usage, help, run)
  commands[#commands + 1] = { name = name, usage = usage, help = help, run = run }
  commands[name] = commands[#commands]
end

command("help", "!help", "shows this list", function()
  local lines = { "I know these commands:" }
  for _, each in ipairs(commands) do
    lines[#lines + 1] = each.usage .. ": " .. each.help
  end
  return table.concat(lines, "\n")
end)

-- These two have rules of their own.
command("ping", "!ping", "answers pong")
command("echo", "!echo TEXT", "says TEXT again")

command("choose", "!choose A B ...", "picks one of them", function(arguments)
  local choices = {}
  for word in arguments:gmatch("%S+") do
    choices[#choices + 1] = word
  end
  return choices[1] and choices[math.random(#choices)]
end)

command("roll", "!roll 2d6", "rolls dice, here two with six sides", function(arguments)
  local count, sides = arguments:match("^(%d*)[dD](%d+)$")
  count, sides = math.tointeger(tonumber(count == "" and 1 or count)), math.tointeger(tonumber(sides))
  if not count or not sides or count < 1 or count > 100 or sides < 1 or sides > 1000 then
    return nil
  end
  local rolls, sum = {}, 0
  for at = 1, count do
    rolls[at] = math.random(sides)
    sum = sum + rolls[at]
  end
  return count == 1 and tostring(sum) or table.concat(rolls, " + ") .. " = " .. sum
end)

command("time", "!time", "tells the time where the bot lives", function()
  return os.date("%Y-%m-%d %H:%M:%S")
end)

---@param notification olvid.MessageReceivedNotification
return function(notification)
  local message = notification.message
  local name, arguments = message.body:match("^!(%S+)%s*(.-)%s*$")
  local found = name and commands[name:lower()]
  if not found then
    message:reply("I do not know that command; !help shows those I do.")
    return
  end
  -- A command that cannot make sense of its arguments returns nothing.
  message:reply(found.run(arguments, message) or ("usage: " .. found.usage))
end
