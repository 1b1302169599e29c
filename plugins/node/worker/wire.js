'use strict';
// Frames and items of docs/worker-protocol.md, written to fd 3 with one system call each.
// Private references to everything needed: user code may replace what it likes later on.
const { writeSync } = require('fs');
const { isDeep, mayBeDeep } = require('./depth');
const { mayBeHalved, replaceHalves } = require('./surrogates');

const MAX_PAYLOAD = 16 * 1024 * 1024;
const HEADER = 16;
const TYPE = {
  HELLO: 1,
  LOAD: 2,
  READY: 3,
  LOAD_FAILED: 4,
  INVOKE: 5,
  RESULT: 6,
  CHECK: 7,
  CHECKED: 8,
  ERROR: 10,
  LOG: 11,
  CANCEL: 15,
  STOP: 18,
  NOT_BEGUN: 19,
};
const TAG = {
  VERSION: 1,
  LANGUAGE: 2,
  CONCURRENCY: 3,
  ARTIFACT: 4,
  HANDLER: 5,
  ENVIRONMENT: 6,
  FUNCTION_NAME: 7,
  FUNCTION_VERSION: 8,
  MEMORY_MB: 9,
  TIMEOUT_MS: 10,
  RUN_NS: 15,
  STREAM: 16,
  TEXT: 17,
  FILE: 18,
  SOURCE: 19,
  BEGIN_BY: 21,
};
const NUMBERS = new Set([
  TAG.VERSION,
  TAG.CONCURRENCY,
  TAG.FUNCTION_VERSION,
  TAG.MEMORY_MB,
  TAG.TIMEOUT_MS,
]);
const TWO_32 = 4294967296;

const alloc = Buffer.allocUnsafeSlow;
const byteLength = Buffer.byteLength;
const exit = process.exit.bind(process);
const wait = Atomics.wait;
const nothing = new Int32Array(new SharedArrayBuffer(4));

// Own properties shadow the prototype's, so nobody can change what these buffers do.
const METHODS = ['utf8Write', 'utf8Slice', 'latin1Slice', 'copy', 'set'].map((name) => [
  name,
  { value: Buffer.prototype[name] },
]);
const { defineProperty } = Object;
function secured(buffer) {
  for (let i = 0; i < METHODS.length; ++i) defineProperty(buffer, METHODS[i][0], METHODS[i][1]);
  return buffer;
}

// Frames up to this size are built in one buffer that lives for ever.
const room = secured(alloc(256 * 1024));

function put32(buffer, at, value) {
  buffer[at] = value;
  buffer[at + 1] = value >>> 8;
  buffer[at + 2] = value >>> 16;
  buffer[at + 3] = value >>> 24;
}

function get32(buffer, at) {
  return (
    (buffer[at] | (buffer[at + 1] << 8) | (buffer[at + 2] << 16) | (buffer[at + 3] << 24)) >>> 0
  );
}

function get64(buffer, at) {
  return get32(buffer, at) + get32(buffer, at + 4) * TWO_32;
}

function putHeader(buffer, size, type, low, high) {
  put32(buffer, 0, size);
  put32(buffer, 4, type);
  put32(buffer, 8, low);
  put32(buffer, 12, high);
}

function putNumber(buffer, at, tag, value) {
  put32(buffer, at, tag);
  put32(buffer, at + 4, 8);
  put32(buffer, at + 8, value % TWO_32);
  put32(buffer, at + 12, value / TWO_32);
  return at + 16;
}

let muted = false; // while the worker warms up, it writes nothing

// libuv makes the socket non-blocking; when the kernel is slow to read, waiting here is right: an
// answer that is not out yet must not be overtaken, nor lost in a queue when the next invocation
// crashes.
function writeAll(buffer, size) {
  let at = muted ? size : 0;
  while (at < size) {
    try {
      at += writeSync(3, buffer, at, size - at);
    } catch (error) {
      if (error.code === 'EAGAIN') wait(nothing, 0, 0, 1);
      else if (error.code !== 'EINTR') exit(0); // EPIPE: nobody is left to answer
    }
  }
}

// RESULT and ERROR: u32 size, JSON text, RUN_NS. Gives '' when it is sent, else what is wrong with
// the text: 'large' or 'deep'.
function writeAnswer(type, low, high, text, nanoseconds) {
  let buffer = room;
  if (text.length * 3 + HEADER + 20 > room.length) {
    const bytes = byteLength(text);
    if (bytes + 20 > MAX_PAYLOAD) return 'large';
    if (bytes + HEADER + 20 > room.length) buffer = secured(alloc(bytes + HEADER + 20));
  }
  const size = buffer.utf8Write(text, HEADER + 4);
  if (mayBeHalved(text)) replaceHalves(buffer, HEADER + 4, HEADER + 4 + size);
  if (mayBeDeep(text) && isDeep(buffer, HEADER + 4, HEADER + 4 + size)) return 'deep';
  const end = putNumber(buffer, HEADER + 4 + size, TAG.RUN_NS, nanoseconds);
  putHeader(buffer, end - HEADER, type, low, high);
  put32(buffer, HEADER, size);
  writeAll(buffer, end);
  return '';
}

// A frame whose payload is `text`, JSON or nothing.
function writeText(type, text, low = 0, high = 0) {
  const size = byteLength(text);
  const buffer = secured(alloc(HEADER + size));
  putHeader(buffer, size, type, low, high);
  buffer.utf8Write(text, HEADER);
  if (mayBeHalved(text)) replaceHalves(buffer, HEADER, buffer.length);
  writeAll(buffer, buffer.length);
}

// LOG: `bytes` is a Buffer of at most 64 KiB minus the items' heads.
function writeLog(low, high, stream, bytes) {
  const at = putNumber(room, HEADER, TAG.STREAM, stream);
  put32(room, at, TAG.TEXT);
  put32(room, at + 4, bytes.length);
  room.set(bytes, at + 8);
  const end = at + 8 + bytes.length;
  putHeader(room, end - HEADER, TYPE.LOG, low, high);
  writeAll(room, end);
}

function writeHello(language, concurrency) {
  let at = putNumber(room, HEADER, TAG.VERSION, 2);
  put32(room, at, TAG.LANGUAGE);
  put32(room, at + 4, room.utf8Write(language, at + 8));
  at = putNumber(room, at + 8 + language.length, TAG.CONCURRENCY, concurrency);
  putHeader(room, at - HEADER, TYPE.HELLO, 0, 0);
  writeAll(room, at);
}

// Calls take(tag, value) for each item from `at` to `end`: numbers as Number, all else as text.
// Slow path only.
function readItems(buffer, at, end, take) {
  while (at + 8 <= end) {
    const tag = buffer[at] | (buffer[at + 1] << 8);
    const size = get32(buffer, at + 4);
    at += 8;
    if (at + size > end) return;
    take(tag, NUMBERS.has(tag) ? get64(buffer, at) : buffer.utf8Slice(at, at + size));
    at += size;
  }
}

module.exports = {
  HEADER,
  MAX_PAYLOAD,
  TYPE,
  TAG,
  alloc,
  exit,
  get32,
  get64,
  mute: (on) => {
    muted = on;
  },
  readItems,
  secured,
  writeAnswer,
  writeHello,
  writeLog,
  writeText,
};
