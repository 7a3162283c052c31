-- What Envoy says in the place of an answer that BuildKit breaks off, as it is too large. BuildKit never says so itself.
local BROKEN_OFF = "reset reason: remote reset"

function envoy_on_response(handle)
  local headers = handle:headers()
  local message = headers:get("grpc-message")
  if headers:get("grpc-status") ~= "14" or not message or not message:find(BROKEN_OFF, 1, true) then
    return
  end
  local judged = handle:streamInfo():dynamicMetadata():get("$AUTHORIZATION")
  local ref = judged and judged["$REF_HEADER"]
  if not ref then
    return
  end
  local answer = handle:httpCall("$ASKING_CLUSTER", {
    [":method"] = "GET",
    [":path"] = "$FAILURE_PATH",
    [":authority"] = "authorizer",
    ["$REF_HEADER"] = ref,
  }, "", $WAIT_MILLISECONDS)
  headers = handle:headers() -- the former ones were lent until the call
  headers:replace("grpc-status", "2")
  headers:replace("grpc-message", answer["$REASON_HEADER"] or "$UNKNOWN_REASON")
end
