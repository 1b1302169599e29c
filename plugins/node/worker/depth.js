'use strict';
// How deep JSON text is nested. The kernel reads 256 levels and takes a worker that sends more for
// a broken one.
const MOST_LEVELS = 250;

const indexOf = Function.prototype.call.bind(String.prototype.indexOf);

// True when `text` has so few of `bracket` that, with as few of the other kind, it cannot be deep.
function few(text, bracket) {
  let at = -1;
  for (let count = 0; count < MOST_LEVELS / 2; ++count) {
    at = indexOf(text, bracket, at + 1);
    if (at < 0) return true;
  }
  return false;
}

// Most results are short or have few brackets; finding that out costs next to nothing.
function mayBeDeep(text) {
  return text.length > 2 * MOST_LEVELS && !(few(text, '[') && few(text, '{'));
}

// `bytes` from `at` to `end` are JSON as JSON.stringify writes it.
function isDeep(bytes, at, end) {
  let depth = 0;
  for (; at < end; ++at) {
    const code = bytes[at];
    if (code === 34 /* " */) {
      for (++at; at < end && bytes[at] !== 34; ++at) if (bytes[at] === 92 /* \ */) ++at;
    } else if (code === 91 /* [ */ || code === 123 /* { */) {
      if (++depth > MOST_LEVELS) return true;
    } else if (code === 93 /* ] */ || code === 125 /* } */) --depth;
  }
  return false;
}

module.exports = { isDeep, mayBeDeep };
