'use strict';
// console.* and process.stdout/stderr.write become LOG frames of the invocation that printed. Each
// write leaves at once: what a function said before it crashed or ran out of time is what its
// author needs most.
const { Writable } = require('stream');
const wire = require('./wire');

const PIECE = 48 * 1024; // of one LOG frame
const LIMIT = 1024 * 1024; // of one invocation, and of all that is printed outside of one between two invocations
const ENDINGS = ['finish', 'end', 'close', 'error'];
const OPTIONS = { emitClose: false }; // "close" is not to be waited for
const nextTick = process.nextTick;
const toBuffer = Buffer.from;
const subarray = Uint8Array.prototype.subarray;
const call = Function.prototype.call.bind(Function.prototype.call);

// A pipeline leaves its listeners behind, those of one call would add up.
const forget = (stream) => ENDINGS.forEach((event) => stream.removeAllListeners(event));

// `invocation()` gives {low, high, printed} of the one that runs now, or null.
function capture(invocation) {
  const outside = { low: 0, high: 0, printed: 0 };
  let apart = false; // whether invocations have streams of their own

  function log(stream, bytes) {
    const owner = invocation() || outside;
    if (owner.printed >= LIMIT) return;
    let size = bytes.length;
    const cut = owner.printed + size > LIMIT;
    if (cut) size = LIMIT - owner.printed;
    owner.printed += size;
    for (let at = 0; at < size; at += PIECE) {
      wire.writeLog(
        owner.low,
        owner.high,
        stream,
        call(subarray, bytes, at, Math.min(size, at + PIECE)),
      );
    }
    if (cut) {
      owner.printed = LIMIT;
      wire.writeLog(
        owner.low,
        owner.high,
        2,
        toBuffer(
          (bytes[size - 1] === 10 ? '' : '\n') +
            `[output cut: one invocation may print ${LIMIT / 1024} KiB]\n`,
        ),
      );
    }
  }

  // Past Writable's own buffering: output is in the log when write() returns, as it is with a file.
  class Output extends Writable {
    constructor(fd) {
      super(OPTIONS);
      this.fd = fd;
      this._type = 'pipe';
    }

    write(chunk, encoding, done) {
      if (typeof encoding === 'function') {
        done = encoding;
        encoding = undefined;
      }
      if (typeof chunk === 'string') chunk = toBuffer(chunk, encoding);
      else if (!(chunk instanceof Uint8Array)) {
        throw new TypeError(
          'The "chunk" argument must be of type string or an instance of Buffer or Uint8Array',
        );
      }
      if (chunk.length > 0) log(this.fd, chunk);
      if (typeof done === 'function') nextTick(done);
      return true;
    }

    _write(chunk, encoding, done) {
      log(this.fd, chunk);
      done();
    }

    // Neither closes anything, but who waits for it is told: a pipeline ends what it writes to.
    end(chunk, encoding, done) {
      if (typeof chunk === 'function') [chunk, done] = [undefined, chunk];
      else if (typeof encoding === 'function') [encoding, done] = [undefined, encoding];
      if (chunk !== undefined && chunk !== null) this.write(chunk, encoding);
      nextTick(() => {
        if (typeof done === 'function') done();
        this.emit('finish');
        forget(this);
      });
      return this;
    }

    destroy(error) {
      nextTick(() => {
        if (error && this.listenerCount('error') > 0) this.emit('error', error);
        this.emit('close');
        forget(this);
      });
      return this;
    }
  }

  // Where invocations run side by side each has streams of its own, made when it first asks for
  // them, so that no listener meets those of another one. They inherit from the common ones: what a
  // module has set there while it was loaded holds in every call.
  function streamOf(owner, name, fd) {
    if (owner[name] !== undefined) return owner[name];
    if (owner === outside) return (owner[name] = new Output(fd));
    const stream = Object.create(streamOf(outside, name, fd));
    stream._events = undefined; // or it would have the listeners of the other one
    Writable.call(stream, OPTIONS);
    return (owner[name] = stream);
  }

  function install(name, fd) {
    const get = () => streamOf((apart && invocation()) || outside, name, fd);
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get });
    // The console would keep the stream that it finds first. It leaves nothing behind in one, so it
    // needs none of its own.
    const key = '_' + name;
    Object.defineProperty(console, key, {
      configurable: true,
      get: () => (apart && (invocation() || outside)[name]) || streamOf(outside, name, fd),
      set: (value) => Object.defineProperty(console, key, { value, writable: true }),
    });
  }
  install('stdout', 1);
  install('stderr', 2);

  return {
    apart: () => {
      apart = true;
    },
    between: () => {
      outside.printed = 0;
    },
  };
}

module.exports = { capture };
