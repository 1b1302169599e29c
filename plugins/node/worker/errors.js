'use strict';
// Error documents: {type, message, stack, file, line, column, hint} of whatever user code threw.
// Nothing in here may throw in turn, whatever the thrown value's getters do.
const { inspect, types } = require('util');
const { readFileSync, statfsSync } = require('fs');
const { fileURLToPath } = require('url');
const wire = require('./wire');

const stringify = JSON.stringify;
const hasOwn = Function.prototype.call.bind(Object.prototype.hasOwnProperty);
const MAX_MESSAGE = 8 * 1024;
const MAX_CAUSES = 2 * 1024; // of these, what led to the error
const MAX_CAUSE = 512; // of one
const CAUSE_LEVELS = 3;
const CAUSES_AT_ONCE = 3;
const MAX_FRAME = 512;
const MAX_FRAMES = 40;

// Errors that the worker itself raises, in words for the function's author.
class Fault extends Error {
  constructor(type, message, hint) {
    super(message);
    this.fault = { type, message, stack: [], hint };
  }
}

let root = '/function/';

// The artifact's folder: frames outside of it are not the user's.
function setRoot(folder) {
  root = folder.endsWith('/') ? folder : folder + '/';
}

// "file:///function/index.mjs:3:5" and "/function/index.js:3:5" as the user named them:
// "index.js:3:5".
function plain(text) {
  return text
    .split('file://' + root)
    .join('')
    .split(root)
    .join('');
}

const HELPER = /\bat (?:async )?__importModule /; // of esbuild.cpp, not of the user
const PLACE = /(?:^|[( ])((?:[^():\s]|\\ )+):(\d+)(?::(\d+))?\)?$/;

// A syntax error's stack begins with its place: "file:line\ncode\n   ^\n\nSyntaxError: ...".
function syntaxPlace(stack) {
  const lines = stack.split('\n');
  const match = /^(.*):(\d+)$/.exec(lines[0]);
  if (!match) return null;
  const caret = lines.length > 2 ? lines[2].search(/\^/) : -1;
  return { file: plain(match[1]), line: Number(match[2]), column: caret < 0 ? 0 : caret + 1 };
}

function userFrames(stack) {
  const frames = [];
  for (const line of stack.split('\n')) {
    if (!/^\s+at /.test(line) || !line.includes(root) || HELPER.test(line)) continue;
    if (frames.length === MAX_FRAMES) break;
    frames.push(plain(line).trim().slice(0, MAX_FRAME));
  }
  return frames;
}

function typeOf(error) {
  const own = typeof error.name === 'string' && error.name ? error.name : 'Error';
  if (own !== 'Error') return own;
  const constructor = error.constructor;
  return typeof constructor === 'function' && constructor.name ? constructor.name : own;
}

const isError = (value) => value instanceof Error || types.isNativeError(value);
const cut = (text, size) => (text.length > size ? text.slice(0, size) + '...' : text);

// "Type: message" of what led to an error; of what is no error, what it looks like.
function causeText(cause) {
  if (isError(cause)) {
    const message = typeof cause.message === 'string' ? cause.message : '';
    return typeOf(cause) + (message && ': ' + cut(message, MAX_CAUSE));
  }
  if (typeof cause === 'string') return cut(cause, MAX_CAUSE);
  return cut(inspect(cause, { depth: 1, breakLength: Infinity }), MAX_CAUSE);
}

function addCauses(texts, error, level) {
  if (level === 0 || !isError(error)) return;
  const { cause, errors } = error;
  const causes = cause === undefined || cause === null ? [] : [cause];
  // Libraries keep reports of their own under this name; what they mean stands in the message.
  const isCause = (one) => isError(one) || typeof one === 'string';
  if (Array.isArray(errors)) causes.push(...errors.slice(0, CAUSES_AT_ONCE).filter(isCause));
  for (const one of causes) {
    texts.push('; caused by ' + causeText(one));
    addCauses(texts, one, level - 1);
  }
}

// What a message such as "fetch failed" leaves out.
function causesOf(error) {
  const texts = [];
  try {
    addCauses(texts, error, CAUSE_LEVELS);
  } catch (_) {
    /* what was found before that getter threw */
  }
  return cut(texts.join(''), MAX_CAUSES);
}

const ESM_HINT =
  'the file is an ES module: use import, or createRequire(import.meta.url) of the module "module"';

function roomOfTmp() {
  try {
    const { blocks, bsize } = statfsSync('/tmp'); // of Node.js 18.15
    return `, it has room for ${Math.floor((blocks * bsize) / 1048576)} MB`;
  } catch (_) {
    return '';
  }
}

// Of a file that grew too large: how large one may be.
function largestFile() {
  let limit = '';
  try {
    const [, bytes] = /^Max file size +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    limit = ` of ${Math.floor(Number(bytes) / 1048576)} MB`;
  } catch (_) {
    /* without the number */
  }
  return `the file reached the sandbox's limit${limit} for one file: write less`;
}

// "@scope/name/sub/file" and "name/sub" to what is installed: "@scope/name", "name".
function packageOf(request) {
  return request.split('/', request[0] === '@' ? 2 : 1).join('/');
}

// What the code itself calls a file or package that an import does not find. Node.js says the file's
// whole path, and no line: an import has no frame in the stack.
function importedAs(document, target, importer) {
  try {
    if (importer) {
      const file = importer.startsWith('file:') ? fileURLToPath(importer) : importer;
      const found = require('./places').importOf(file, target);
      if (found && file.startsWith(root) && document.line === undefined) {
        Object.assign(document, { file: plain(file), line: found.line, column: found.column });
      }
      if (found) return found.request;
    }
  } catch (_) {
    /* the path as Node.js has it */
  }
  return plain(target);
}

// Adds type and hint where the error is one of those that everybody meets once.
function explain(document, error) {
  const missing = /^Cannot find (?:module|package) '([^']+)'(?: imported from (.+))?/.exec(
    document.message,
  );
  if (missing && /MODULE_NOT_FOUND$/.test(String(error.code))) {
    const isFile = /^[./]/.test(missing[1]);
    const name = importedAs(document, missing[1], missing[2]);
    document.type = 'ModuleNotFound';
    document.message = `Cannot find module '${name}'`;
    document.hint = isFile
      ? 'the function has no such file; names are relative to the file that asks'
      : `add it to the function: "dependencies": ["${packageOf(name)}"] beside its code, or a line in ` +
        `"dependencies" of its package.json; its source under files as node_modules/${packageOf(name)}/ works too`;
  } else if (error.code === 'ERR_REQUIRE_ESM') {
    document.type = 'ModuleNotLoadable';
    document.message = document.message.split('\n')[0];
    document.hint =
      'this package is an ES module only: write await import("...") inside of the handler, or make the ' +
      'file a module (import instead of require)';
  } else if (
    document.type === 'ReferenceError' &&
    /^(require|module|exports|__dirname|__filename) is not defined/.test(document.message)
  ) {
    document.message = document.message.split('\n')[0];
    document.hint = ESM_HINT;
  } else if (error.code === 'EROFS') {
    document.hint = 'only /tmp is writable';
  } else if (error.code === 'EFBIG') {
    document.hint = largestFile();
  } else if (error.code === 'ENOSPC') {
    document.hint = `/tmp is full${roomOfTmp()}: remove what earlier calls left there, or write less`;
  } else if (document.type === 'RangeError' && /call stack/.test(document.message)) {
    document.hint = 'a function calls itself without end, or data is nested too deeply';
  }
}

function describe(error) {
  if (error instanceof Fault) return error.fault;
  if (error === null || (typeof error !== 'object' && typeof error !== 'function')) {
    return {
      type: 'NotAnError',
      message: typeof error === 'string' ? error : inspect(error),
      stack: [],
      hint: 'the function threw a value that is not an Error: throw new Error(...) keeps the place',
    };
  }
  const stack = typeof error.stack === 'string' ? error.stack : '';
  const document = {
    type: typeOf(error),
    message: typeof error.message === 'string' ? error.message : inspect(error, { depth: 2 }),
    stack: userFrames(stack),
  };
  const place = error instanceof SyntaxError ? syntaxPlace(stack) : null;
  const match = document.stack.length > 0 ? PLACE.exec(document.stack[0]) : null;
  if (place) Object.assign(document, place);
  else if (match)
    Object.assign(document, {
      file: match[1],
      line: Number(match[2]),
      column: Number(match[3]) || 0,
    });
  explain(document, error);
  return document;
}

function documented(error) {
  try {
    const document = describe(error);
    const causes = causesOf(error);
    document.message = plain(cut(String(document.message), MAX_MESSAGE - causes.length) + causes);
    return document;
  } catch (_) {
    return {
      type: 'NotAnError',
      message: 'the function threw something that cannot be described',
      stack: [],
    };
  }
}

// The error document as JSON, at most 64 KiB.
const documentOf = (error) => stringify(documented(error));

// What to print of an error that nothing caught: what Node.js prints, with the user's own names.
function textOf(error) {
  try {
    if (!(error instanceof Error) || typeof error.stack !== 'string') return inspect(error);
    const frames = error.stack.search(/\n    at |$/);
    return plain(error.stack.slice(0, frames) + causesOf(error) + error.stack.slice(frames));
  } catch (_) {
    return 'something that cannot be described';
  }
}

// What Node.js gives the listeners for uncaught exceptions of a promise that nobody waits for.
function rejectionError(reason) {
  let text;
  try {
    if (reason instanceof Error) return reason;
    if (typeof reason === 'object' && reason !== null && hasOwn(reason, 'stack')) return reason;
    text = typeof reason === 'string' ? reason : inspect(reason, { depth: 0 });
  } catch (_) {
    text = 'something that cannot be described';
  }
  const error = new Error(`a promise that nobody waits for was rejected with "${text}"`);
  error.name = 'UnhandledPromiseRejection';
  return Object.assign(error, { code: 'ERR_UNHANDLED_REJECTION' });
}

// Why JSON.stringify refused a result: its own errors in words, those of the function's toJSON and
// getters as they are.
function resultFault(error) {
  const { type, message, ...rest } = documented(error);
  if (type === 'TypeError' && /serialize a BigInt$/.test(message)) {
    return new Fault(
      'ResultNotJson',
      'the result contains a BigInt, which JSON has no form for',
      'convert it with Number(value) or String(value)',
    );
  }
  if (type === 'TypeError' && message.startsWith('Converting circular structure')) {
    return new Fault(
      'ResultNotJson',
      'the result refers to itself: ' + message.replace(/\s*\n\s*/g, ' '),
      'return a copy of the parts that the caller needs',
    );
  }
  if (type === 'RangeError' && message === 'Invalid string length') return tooLarge();
  if (type === 'RangeError' && /call stack/.test(message)) return tooDeep();
  const fault = notJson(type === 'NotAnError' ? message : `${type}: ${message}`);
  Object.assign(fault.fault, rest);
  return fault;
}

// What JSON.stringify shows nothing of, though there is something: as a fault; null for all else
// that is {} in JSON.
function hiddenFault(result) {
  try {
    let kind = '';
    let hint = '';
    if (typeof result.toJSON === 'function') return null;
    if (isError(result)) {
      kind = `an error (${typeOf(result)}: ${result.message})`;
      hint = 'throw it, or return { error: error.message }';
    } else if (types.isMap(result)) {
      kind = 'a Map';
      hint = 'return Object.fromEntries(map) or [...map]';
    } else if (typeof result[Symbol.asyncIterator] === 'function') {
      kind = 'an asynchronous generator';
      hint = 'collect what it gives: for await (const one of generator) list.push(one)';
    } else if (typeof result[Symbol.iterator] === 'function') {
      if (types.isSet(result)) kind = 'a Set';
      else kind = types.isGeneratorObject(result) ? 'a generator' : 'an iterable object';
      hint = 'return [...value]';
    }
    if (kind === '') return null;
    return new Fault('ResultNotJson', `the result is ${kind}, which JSON has no form for`, hint);
  } catch (_) {
    return null;
  }
}

function notJson(reason) {
  return new Fault(
    'ResultNotJson',
    'the result cannot be written as JSON: ' + reason,
    'see toJSON and getters of the returned objects',
  );
}

function tooDeep() {
  return new Fault(
    'ResultNotJson',
    'the result is nested deeper than 250 levels',
    'return flatter data',
  );
}

function tooLarge() {
  return new Fault(
    'ResultTooLarge',
    `the result is larger than ${wire.MAX_PAYLOAD / 1048576} MiB`,
    'return less, or store the data elsewhere and return its address',
  );
}

module.exports = {
  Fault,
  documentOf,
  hiddenFault,
  notJson,
  plain,
  rejectionError,
  resultFault,
  setRoot,
  syntaxPlace,
  textOf,
  tooDeep,
  tooLarge,
};
