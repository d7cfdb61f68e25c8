-- What the scripts of this directory have in common: a rule gets the texts `attack`, `next` and `end`, one after the other.
--
-- The attack runs once; what follows must find the script as if nothing had been. `after`, where there is one, looks at
-- what the attack has left behind.
local print = print

return function(attack, after)
  return function(notification, rule)
    local body = notification.message.body
    if body == "attack" then return attack(notification, rule) end
    if body == "end" then return print "end" end
    if after then after(notification, rule) end
    print "alive"
  end
end
