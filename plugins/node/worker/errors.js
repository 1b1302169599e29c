'use strict';
// Error documents: {type, message, stack, file, line, column, hint} of whatever user code threw.
// Nothing in here may throw in turn, whatever the thrown value's getters do.
const { inspect } = require('util');
const wire = require('./wire');

const stringify = JSON.stringify;
const hasOwn = Function.prototype.call.bind(Object.prototype.hasOwnProperty);
const MAX_MESSAGE = 8 * 1024;
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
    if (!/^\s+at /.test(line) || !line.includes(root)) continue;
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

const ESM_HINT =
  'the file is an ES module: use import, or createRequire(import.meta.url) of the module "module"';

// "@scope/name/sub/file" and "name/sub" to what is installed: "@scope/name", "name".
function packageOf(request) {
  return request.split('/', request[0] === '@' ? 2 : 1).join('/');
}

// Adds type and hint where the error is one of those that everybody meets once.
function explain(document, error) {
  const missing = /^Cannot find (?:module|package) '([^']+)'/.exec(document.message);
  if (missing && /MODULE_NOT_FOUND$/.test(String(error.code))) {
    const name = plain(missing[1]);
    document.type = 'ModuleNotFound';
    document.message = `Cannot find module '${name}'`;
    document.hint = /^[./]/.test(missing[1])
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

// The error document as JSON, at most 64 KiB.
function documentOf(error) {
  try {
    const document = describe(error);
    document.message = plain(String(document.message));
    if (document.message.length > MAX_MESSAGE)
      document.message = document.message.slice(0, MAX_MESSAGE) + '...';
    return stringify(document);
  } catch (_) {
    return '{"type":"NotAnError","message":"the function threw something that cannot be described","stack":[]}';
  }
}

// What to print of an error that nothing caught: what Node.js prints, with the user's own names.
function textOf(error) {
  try {
    if (error instanceof Error && typeof error.stack === 'string') return plain(error.stack);
    return inspect(error);
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

// A circular or BigInt result: why JSON.stringify refused it.
function resultFault(error) {
  const message = error && typeof error.message === 'string' ? error.message : String(error);
  if (/BigInt/.test(message)) {
    return new Fault(
      'ResultNotJson',
      'the result contains a BigInt, which JSON has no form for',
      'convert it with Number(value) or String(value)',
    );
  }
  if (/circular/i.test(message)) {
    return new Fault(
      'ResultNotJson',
      'the result refers to itself: ' + message.replace(/\s*\n\s*/g, ' '),
      'return a copy of the parts that the caller needs',
    );
  }
  if (error instanceof RangeError) {
    return /string length/.test(message) ? tooLarge() : tooDeep();
  }
  return new Fault(
    'ResultNotJson',
    'the result cannot be written as JSON: ' + message,
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
  plain,
  rejectionError,
  resultFault,
  setRoot,
  syntaxPlace,
  textOf,
  tooDeep,
  tooLarge,
};
