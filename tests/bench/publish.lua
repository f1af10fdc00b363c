-- wrk: POST /events with a 256-byte payload and an id that no other request has.
local prefix, counter, body
local thread_count = 0

function setup(thread)
  thread:set("thread_number", thread_count)
  thread_count = thread_count + 1
end

function init(args)
  prefix = string.format("bench-%d-%d-", os.time(), thread_number)
  counter = 0
  body = '"' .. string.rep("x", 254) .. '"'
end

function request()
  counter = counter + 1
  return wrk.format("POST", "/events", {
    ["Host"] = "localhost",
    ["Content-Type"] = "application/json",
    ["ce-specversion"] = "1.0",
    ["ce-id"] = prefix .. counter,
    ["ce-source"] = "/bench",
    ["ce-type"] = "bench.publish",
  }, body)
end
