// Loaded by warmup.js in place of a function.
function sample(event, context) {
  return { event, id: context.request_id };
}
