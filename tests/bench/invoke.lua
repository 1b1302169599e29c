-- The load: one event to one function, over and over; the outcome as one line of JSON. INVOKE_BYTES: as many bytes of
-- text in the event instead of the small event that is sent otherwise.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local bytes = tonumber(os.getenv("INVOKE_BYTES") or "0")
if bytes > 0 then
    wrk.body = '{"event":{"data":"' .. string.rep("x", bytes) .. '"}}'
else
    wrk.body = '{"event":{"message":"Hello World","data":[1,2,3]},"context":{"user_id":"123","request_id":"req_456"}}'
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests":%d,"microseconds":%d,"p50":%d,"p90":%d,"p99":%d,"max":%d,"errors":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(90), latency:percentile(99),
        latency.max, errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
