-- expect: error "json" or memory or cpu
-- rule: memory=8MiB
return require "attack"(function()
  local graph = ("x"):rep(1 << 20)
  for _ = 1, 12 do graph = { graph, graph } end
  return json.encode(graph)
end)
