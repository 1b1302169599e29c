'use strict';
// The worker of the Node.js executor: speaks docs/worker-protocol.md on fd 3, loads one function,
// calls it. Runs on Node.js 14 and later without any package. Everything it needs later is
// referenced here, before user code.
const net = require('net');
const { writeSync } = require('fs');
const { performance } = require('perf_hooks');
const { AsyncLocalStorage } = require('async_hooks');
const { setFlagsFromString: setFlags } = require('v8');
const wire = require('./wire');
const {
  Fault,
  documentOf,
  hiddenFault,
  notJson,
  rejectionError,
  resultFault,
  setRoot,
  textOf,
  tooDeep,
  tooLarge,
} = require('./errors');
const { capture } = require('./output');
const { load } = require('./loader');

const { HEADER, MAX_PAYLOAD, TYPE, TAG, exit, get32, get64, writeAnswer } = wire;
const MOST_AT_ONCE = 1000;
// With little memory V8 is to collect before its heap has grown by a third: by itself it lets a
// heap grow to several times what lives in it. This works in a running process, so that one
// prewarmed worker fits every memory size; --max-old-space-size works at the start only, and costs
// a quarter of it. Any such flag makes the code cache of Node.js's own modules useless from then on:
// so it comes after the load, in which most of them are required (axios: 53 ms of a core, not 77).
const SMALL_MEMORY_MB = 512;
const WARM_UP_AFTER_MS = 20; // a worker that is started for a waiting call hears of it sooner
const parse = JSON.parse;
const stringify = JSON.stringify;
const now = performance.now.bind(performance);
const hrtime = process.hrtime.bind(process);
function monotonicMs() {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
const then = Function.prototype.call.bind(Promise.prototype.then);
const BuiltIn = Promise;
const resolved = BuiltIn.resolve.bind(BuiltIn);
const listenerCount = process.listenerCount.bind(process);
const emit = process.emit.bind(process);

// What performance.now() is behind CLOCK_MONOTONIC, the clock of BEGIN_BY; never less, and not much more.
let behindMs = Infinity;
for (let tries = 0; tries < 5; ++tries) {
  const first = now();
  behindMs = Math.min(behindMs, monotonicMs() - first);
  if (now() - first < 0.1) break;
}

let handler = null;
let asked = false; // LOAD or CHECK came
let loading = false;
let stopping = false;
let limit = 1; // invocations at once
let running = 0;
let current = null; // the invocation that runs, with a limit of 1
let storage = null; // knows the invocation that runs, with a higher one
let firstWaiting = null; // INVOKE frames that wait for their turn, {frame, next}
let lastWaiting = null;
const about = { name: '', version: 0, memory: 0 };

// What an invocation prints after its answer belongs to none: the kernel knows its id no more.
const output = capture(() => {
  if (storage === null) return current;
  const invocation = storage.getStore();
  return invocation === undefined || invocation.answered ? null : invocation;
});

// Invocations -------------------------------------------------------------------------------------------------------

// The items of INVOKE come in one fixed order, so their places follow from the sizes before them.
function contextOf(buffer, at, end) {
  const id = end + 24;
  const idEnd = id + get32(buffer, end + 20);
  const request = idEnd + 8;
  const requestEnd = request + get32(buffer, idEnd + 4);
  const own = end - at > 2 ? parse(buffer.utf8Slice(at, end)) : null;
  if (own === null || typeof own !== 'object') {
    return {
      invocation_id: buffer.latin1Slice(id, idEnd),
      function_name: about.name,
      function_version: about.version,
      memory_limit_mb: about.memory,
      deadline_ms: get64(buffer, requestEnd + 8),
      request_id: buffer.utf8Slice(request, requestEnd),
    };
  }
  own.invocation_id = buffer.latin1Slice(id, idEnd);
  own.function_name = about.name;
  own.function_version = about.version;
  own.memory_limit_mb = about.memory;
  own.deadline_ms = get64(buffer, requestEnd + 8);
  if (own.request_id === undefined) own.request_id = buffer.utf8Slice(request, requestEnd);
  return own;
}

function finish(invocation) {
  --running;
  invocation.answered = true;
  current = null;
  output.between();
}

// A call that waited behind another one for too long. The kernel counts on it: it runs elsewhere by then.
function isTooLate(buffer, at, started) {
  const last = at + HEADER + get32(buffer, at) - 16;
  return (
    buffer[last] === TAG.BEGIN_BY &&
    buffer[last + 1] === 0 &&
    (started + behindMs) * 1e3 > get64(buffer, last + 8)
  );
}

function fail(invocation, error) {
  const elapsed = (now() - invocation.started) * 1e6;
  writeAnswer(TYPE.ERROR, invocation.low, invocation.high, documentOf(error), elapsed);
  finish(invocation);
}

function succeed(invocation, result) {
  const elapsed = (now() - invocation.started) * 1e6;
  let text;
  try {
    text = stringify(result);
  } catch (error) {
    fail(invocation, resultFault(error));
    return;
  }
  if (text === undefined) {
    if (result !== undefined) {
      const kind = typeof result;
      fail(invocation, notJson(kind === 'object' ? 'its toJSON gives nothing' : `it is a ${kind}`));
      return;
    }
    text = 'null';
  } else if (text === '{}') {
    const fault = hiddenFault(result);
    if (fault !== null) {
      fail(invocation, fault);
      return;
    }
  }
  const problem = writeAnswer(TYPE.RESULT, invocation.low, invocation.high, text, elapsed);
  if (problem === '') finish(invocation);
  else fail(invocation, problem === 'deep' ? tooDeep() : tooLarge());
}

// Runs the INVOKE frame at `at`. A handler that returns a plain value is answered before this
// returns.
function begin(buffer, at) {
  const event = at + HEADER + 8;
  const context = event + get32(buffer, at + HEADER);
  const end = context + get32(buffer, at + HEADER + 4);
  const started = now();
  if (isTooLate(buffer, at, started)) {
    wire.writeText(TYPE.NOT_BEGUN, '', get32(buffer, at + 8), get32(buffer, at + 12));
    return;
  }
  const invocation = {
    low: get32(buffer, at + 8),
    high: get32(buffer, at + 12),
    printed: 0,
    answered: false,
    started,
  };
  ++running;
  let result;
  try {
    const given = event === context ? {} : parse(buffer.utf8Slice(event, context));
    const surroundings = contextOf(buffer, context, end);
    if (storage === null) {
      current = invocation;
      result = handler(given, surroundings);
    } else {
      result = storage.run(invocation, handler, given, surroundings);
    }
    if (
      result !== null &&
      typeof result === 'object' &&
      (result instanceof BuiltIn || typeof result.then === 'function')
    ) {
      then(
        resolved(result), // itself when it is a plain promise
        (value) => {
          succeed(invocation, value);
          drain();
        },
        (error) => {
          fail(invocation, error);
          drain();
        },
      );
      return;
    }
  } catch (error) {
    fail(invocation, error);
    return;
  }
  succeed(invocation, result);
}

function drain() {
  while (firstWaiting !== null && running < limit && handler !== null) {
    const { frame } = firstWaiting;
    firstWaiting = firstWaiting.next;
    begin(frame, 0);
  }
  if (stopping && running === 0 && firstWaiting === null && !loading) exit(0);
}

// Life --------------------------------------------------------------------------------------------------------------

function loadFailed(error) {
  loading = false;
  wire.writeText(TYPE.LOAD_FAILED, documentOf(error));
}

function startLoading(buffer, at, end) {
  let folder = '/function';
  let name = 'handler';
  asked = loading = true;
  wire.readItems(buffer, at, end, (tag, value) => {
    if (tag === TAG.ARTIFACT) folder = value;
    else if (tag === TAG.HANDLER) name = value;
    else if (tag === TAG.FUNCTION_NAME) about.name = value;
    else if (tag === TAG.FUNCTION_VERSION) about.version = value;
    else if (tag === TAG.MEMORY_MB) about.memory = value;
    else if (tag === TAG.CONCURRENCY) limit = Math.max(1, Math.min(value, MOST_AT_ONCE));
    else if (tag === TAG.ENVIRONMENT) {
      const equals = value.indexOf('=', 1);
      if (equals > 0) process.env[value.slice(0, equals)] = value.slice(equals + 1);
    }
  });
  if (limit > 1) {
    storage = new AsyncLocalStorage();
    output.apart();
  }
  setRoot(folder);
  try {
    process.chdir(folder);
  } catch (_) {
    /* the loader says what is missing */
  }
  then(
    load(folder, name),
    (found) => {
      if (!loading) return;
      handler = found;
      loading = false;
      if (about.memory > 0 && about.memory <= SMALL_MEMORY_MB) {
        setFlags('--heap-growing-percent=30');
      }
      output.between();
      wire.writeText(TYPE.READY, '');
      drain();
    },
    (error) => {
      loadFailed(error);
      exit(1);
    },
  );
}

function check(buffer, at, end, low, high) {
  let file = 'index.js';
  let source = '';
  asked = true;
  wire.readItems(buffer, at, end, (tag, value) => {
    if (tag === TAG.FILE) file = value;
    else if (tag === TAG.SOURCE) source = value;
  });
  wire.writeText(TYPE.CHECKED, stringify(require('./checker').check(file, source)), low, high);
}

function take(buffer, at, end) {
  const type = buffer[at + 4];
  if (type === TYPE.INVOKE) {
    if (handler !== null && running < limit && firstWaiting === null) {
      begin(buffer, at);
    } else {
      const frame = wire.secured(wire.alloc(end - at));
      buffer.copy(frame, 0, at, end);
      const waiting = { frame, next: null };
      if (firstWaiting === null) firstWaiting = waiting;
      else lastWaiting.next = waiting;
      lastWaiting = waiting;
    }
  } else if (type === TYPE.LOAD) {
    startLoading(buffer, at + HEADER, end);
  } else if (type === TYPE.CHECK) {
    check(buffer, at + HEADER, end, get32(buffer, at + 8), get32(buffer, at + 12));
  } else if (type === TYPE.STOP) {
    stopping = true;
    drain();
  }
  // CANCEL is best effort: JavaScript cannot be interrupted from within. Later frame types are none
  // of ours.
}

// Bytes to frames. A frame that arrives in pieces is put together in a buffer of its own size.
const head = wire.secured(wire.alloc(HEADER));
let partial = null;
let held = 0;

function sizeOf(buffer, at) {
  const size = get32(buffer, at);
  if (size > MAX_PAYLOAD) exit(1);
  return HEADER + size;
}

function feed(count, buffer) {
  let at = 0;
  if (held > 0) {
    if (partial === null) {
      at = Math.min(HEADER - held, count);
      buffer.copy(head, held, 0, at);
      held += at;
      if (held < HEADER) return;
      partial = wire.secured(wire.alloc(sizeOf(head, 0)));
      head.copy(partial, 0, 0, HEADER);
    }
    const part = Math.min(partial.length - held, count - at);
    buffer.copy(partial, held, at, at + part);
    held += part;
    at += part;
    if (held < partial.length) return;
    const frame = partial;
    partial = null;
    held = 0;
    take(frame, 0, frame.length);
  }
  while (count - at >= HEADER) {
    const end = at + sizeOf(buffer, at);
    if (end > count) break;
    take(buffer, at, end);
    at = end;
  }
  held = count - at;
  if (held === 0) return;
  if (held < HEADER) {
    buffer.copy(head, 0, at, count);
  } else {
    partial = wire.secured(wire.alloc(sizeOf(buffer, at)));
    buffer.copy(partial, 0, at, count);
  }
}

// What nothing caught ends the worker, as Node.js has it, unless user code listens for it itself.
function crash(error) {
  if (loading) loadFailed(error);
  try {
    writeSync(2, 'Uncaught ' + textOf(error) + '\n');
  } catch (_) {
    /* nobody reads it */
  }
  exit(1);
}
process.on('uncaughtException', (error) => {
  if (listenerCount('uncaughtException') === 1) crash(error);
});
// With a listener here Node.js does not make the rejection an uncaught exception by itself.
process.on('unhandledRejection', (reason) => {
  if (listenerCount('unhandledRejection') > 1) return;
  const error = rejectionError(reason);
  emit('uncaughtExceptionMonitor', error, 'unhandledRejection');
  if (listenerCount('uncaughtException') === 1) crash(reason);
  else emit('uncaughtException', error, 'unhandledRejection');
});
process.on('exit', (code) => {
  if (!loading) return;
  loadFailed(
    new Fault(
      'ExitedWhileLoading',
      `the code called process.exit(${code}) while it was loaded`,
      'code outside of the handler runs once, when the function is loaded',
    ),
  );
});

const input = wire.secured(wire.alloc(64 * 1024));
const kernel = new net.Socket({
  fd: 3,
  readable: true,
  writable: true,
  onread: {
    buffer: input,
    callback: (count) => {
      feed(count, input);
      return true;
    },
  },
});
kernel.on('end', () => exit(0));
kernel.on('error', () => exit(0));
kernel.on('close', () => exit(0));
wire.writeHello(process.versions.node, MOST_AT_ONCE);

// A made-up INVOKE, for warming up: event and context "{}", the four items with empty texts.
function rehearse(sample) {
  const frame = wire.secured(Buffer.alloc(HEADER + 8 + 4 + 48));
  frame[HEADER] = frame[HEADER + 4] = 2;
  frame.utf8Write('{}{}', HEADER + 8);
  handler = sample;
  begin(frame, 0);
  handler = null;
}
setTimeout(() => {
  if (!asked) require('./warmup').warmUp(rehearse, () => !asked);
}, WARM_UP_AFTER_MS).unref();
