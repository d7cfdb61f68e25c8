-- expect: error "json" or memory or cpu
-- rule: memory=8MiB
-- Forty tables, of which each holds the next one twice: written out, a million millions.
return require "attack"(function()
  local graph = {}
  for _ = 1, 40 do graph = { graph, graph } end
  return json.encode(graph)
end)
