'use strict';
// console.* and process.stdout/stderr.write become LOG frames of the invocation that printed. Each
// write leaves at once: what a function said before it crashed or ran out of time is what its
// author needs most.
const { Writable } = require('stream');
const wire = require('./wire');

const PIECE = 48 * 1024; // of one LOG frame
const LIMIT = 1024 * 1024; // of one invocation, and of all that is printed outside of one between two invocations
const ENDINGS = ['finish', 'end', 'close', 'error'];
const nextTick = process.nextTick;
const toBuffer = Buffer.from;
const subarray = Uint8Array.prototype.subarray;
const call = Function.prototype.call.bind(Function.prototype.call);

// `invocation()` gives {low, high, printed} of the one that runs now, or null.
function capture(invocation) {
  const outside = { low: 0, high: 0, printed: 0 };

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
        toBuffer('\n[output cut: one invocation may print ' + LIMIT / 1024 + ' KiB]\n'),
      );
    }
  }

  function streamFor(name, fd) {
    let stream;
    const create = () => {
      stream = new Writable({ emitClose: false }); // "close" is not to be waited for
      stream.fd = fd;
      stream._type = 'pipe';
      // Past Writable's own buffering: output is in the log when write() returns, as it is with a
      // file.
      stream.write = (chunk, encoding, done) => {
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
        if (chunk.length > 0) log(fd, chunk);
        if (typeof done === 'function') nextTick(done);
        return true;
      };
      stream._write = (chunk, encoding, done) => {
        log(fd, chunk);
        done();
      };
      // Neither closes anything, but who waits for it is told: a pipeline ends what it writes to.
      stream.end = (chunk, encoding, done) => {
        if (typeof chunk === 'function') [chunk, done] = [undefined, chunk];
        else if (typeof encoding === 'function') [encoding, done] = [undefined, encoding];
        if (chunk !== undefined && chunk !== null) stream.write(chunk, encoding);
        nextTick(() => {
          if (typeof done === 'function') done();
          stream.emit('finish');
          forget();
        });
        return stream;
      };
      stream.destroy = (error) => {
        nextTick(() => {
          if (error && stream.listenerCount('error') > 0) stream.emit('error', error);
          stream.emit('close');
          forget();
        });
        return stream;
      };
      // A pipeline leaves its listeners behind, those of one call would add up.
      const forget = () => ENDINGS.forEach((event) => stream.removeAllListeners(event));
      return stream;
    };
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get: () => stream || create(),
    });
  }
  streamFor('stdout', 1);
  streamFor('stderr', 2);

  return {
    between: () => {
      outside.printed = 0;
    },
  };
}

module.exports = { capture };
