-- How much of requests that have not arrived in full is kept of each build, by this thread of Envoy. What is beyond the
-- bound is dropped as it comes; the message is refused as cut when it ends, and its stream ends in any case in a while.
local MOST_BYTES = $MOST_BYTES
local LONGEST_SECONDS = $LONGEST_SECONDS

local builds = {}
local swept = 0

-- Streams that were given up don't say so. None outlives the time that a request may take.
local function sweep(now)
  if now - swept < 1 then
    return
  end
  swept = now
  for name, build in pairs(builds) do
    for message in pairs(build.messages) do
      if now - message.since > LONGEST_SECONDS then
        build.messages[message] = nil
        build.bytes = build.bytes - message.bytes
      end
    end
    if next(build.messages) == nil then
      builds[name] = nil
    end
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if headers:get(":path") ~= "$SOLVE" then
    return
  end
  local name = headers:get("$IDENTITY_HEADER") or ""
  local now = os.time()
  sweep(now)
  local message = { since = now, bytes = 0 }
  local build = builds[name] or { bytes = 0, messages = {} }
  builds[name] = build
  build.messages[message] = true
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    if build.bytes + length > MOST_BYTES then
      chunk:setBytes("")
    else
      build.bytes = build.bytes + length
      message.bytes = message.bytes + length
    end
  end
  build.messages[message] = nil
  build.bytes = build.bytes - message.bytes
end
