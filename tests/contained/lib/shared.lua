-- A module that returns a table.
return {}
