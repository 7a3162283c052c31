-- What Envoy says in the place of an answer that BuildKit breaks off, as it is too large. BuildKit never says so itself.
local BROKEN_OFF = "reset reason: remote reset"
-- How it says that the connection to a machine broke.
local LOST = "reset reason: "
local CANCELLED, UNKNOWN, UNAVAILABLE = "1", "2", "14"

local function says(message, text)
  return message ~= nil and message:find(text, 1, true) ~= nil
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status, message = headers:get("grpc-status"), headers:get("grpc-message")
  local is_broken_off = status == UNAVAILABLE and says(message, BROKEN_OFF)
  local may_be_canceled = status == CANCELLED or (status == UNAVAILABLE and says(message, LOST))
  if not is_broken_off and not may_be_canceled then
    return
  end
  local judged = handle:streamInfo():dynamicMetadata():get("$AUTHORIZATION")
  local ref = judged and judged["$REF_HEADER"]
  if not ref then
    return
  end
  local answer = handle:httpCall("$ASKING_CLUSTER", {
    [":method"] = "GET",
    [":path"] = is_broken_off and "$FAILURE_PATH" or "$CANCELLATION_PATH",
    [":authority"] = "authorizer",
    ["$REF_HEADER"] = ref,
  }, "", $WAIT_MILLISECONDS)
  local reason = answer["$REASON_HEADER"] or (is_broken_off and "$UNKNOWN_REASON")
  if not reason then
    return
  end
  headers = handle:headers() -- the former ones were lent until the call
  headers:replace("grpc-status", UNKNOWN)
  headers:replace("grpc-message", reason)
  headers:remove("grpc-status-details-bin")
end
