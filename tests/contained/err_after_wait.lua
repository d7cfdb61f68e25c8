-- expect: error "behind the wait"
return require "attack"(function()
  sleep(0)
  local function below() error "behind the wait" end
  below()
end)
