-- expect: ok prints "contained"
-- Waits within an iterator within a loop.
return require "attack"(function()
  local function contacts()
    return coroutine.wrap(function()
      for contact in olvid.contact_list {} do
        sleep(0)
        coroutine.yield(contact)
      end
    end)
  end
  local number = 0
  for _ in contacts() do number = number + 1 end
  assert(number > 0)
  print "contained"
end)
