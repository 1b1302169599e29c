'use strict';
// JSON.stringify writes half of a surrogate pair as \ud83d, which is no character and which the
// kernel refuses. It becomes U+FFFD, as in every conversion of the web to UTF-8 (USVString).
const indexOf = Function.prototype.call.bind(String.prototype.indexOf);

// Most JSON text has no escape of this kind; finding that out costs next to nothing.
function mayBeHalved(text) {
  return indexOf(text, '\\u') >= 0;
}

const digit = (code) => (code < 58 ? code - 48 : (code & 15) + 9);

// The unit that \uXXXX at `at` stands for, or 0.
function unitAt(bytes, at) {
  if (bytes[at] !== 92 /* \ */ || bytes[at + 1] !== 117 /* u */) return 0;
  let unit = 0;
  for (let i = at + 2; i < at + 6; ++i) unit = unit * 16 + digit(bytes[i]);
  return unit;
}

const isHigh = (unit) => unit >> 10 === 0x36;
const isLow = (unit) => unit >> 10 === 0x37;

// `bytes` from `at` to `end` are JSON. \ufffd is as long as what it replaces. JSON.rawJSON may
// have brought in whole pairs of escapes.
function replaceHalves(bytes, at, end) {
  while (at < end) {
    if (bytes[at] !== 92 /* \ */) {
      ++at;
      continue;
    }
    const unit = unitAt(bytes, at);
    if (isHigh(unit) && isLow(unitAt(bytes, at + 6))) {
      at += 12;
      continue;
    }
    if (isHigh(unit) || isLow(unit)) {
      bytes[at + 2] = bytes[at + 3] = bytes[at + 4] = 102; // f
      bytes[at + 5] = 100; // d
    }
    at += unit === 0 ? 2 : 6;
  }
}

module.exports = { mayBeHalved, replaceHalves };
