'use strict';
// CHECK: is this source sound? It is parsed and never run. Remarks of kind "esm" tell the executor
// that a file is an ES module. A worker that has parsed somebody's source never loads a function
// (docs/worker-protocol.md).
const vm = require('vm');
const { syntaxPlace } = require('./errors');

const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];
const PREFIX = '(async function(){"use strict";'; // the body of a function that is as strict as a module
const IMPORT = /^Cannot use import statement|^Cannot use 'import\.meta'/;
const EXPORT = /^Unexpected token 'export'/;
const AWAIT = /^await is only valid/;

function parseScript(source, file) {
  try {
    vm.compileFunction(source, PARAMETERS, { filename: file });
    return null;
  } catch (error) {
    return error;
  }
}

function parseModule(source, file) {
  if (!vm.SourceTextModule) return null; // without --experimental-vm-modules LOAD finds what is wrong
  const { emitWarning } = process;
  process.emitWarning = () => {}; // that it is experimental
  try {
    new vm.SourceTextModule(source, { identifier: file });
    return null;
  } catch (error) {
    return error;
  } finally {
    process.emitWarning = emitWarning;
  }
}

const blank = (text) => text.replace(/[^\n]/g, ' ');

function offsetOf(source, place) {
  let at = 0;
  for (let line = 1; line < place.line; ++line) at = source.indexOf('\n', at) + 1;
  return at + place.column - 1;
}

// V8 gives no position for errors in modules. So the module's syntax is masked, keeping every
// position, until what is left is wrong as a script too.
function placeInModule(source, file) {
  for (let round = 0; round < 2000; ++round) {
    let error;
    try {
      new vm.Script(PREFIX + source + '\n})', { filename: file });
      return null;
    } catch (thrown) {
      error = thrown;
    }
    const place = syntaxPlace(error.stack);
    if (!place || !place.column) return place;
    if (place.line === 1) place.column = Math.max(1, place.column - PREFIX.length);
    const at = offsetOf(source, place);
    const rest = source.slice(at);
    let mask;
    if (EXPORT.test(error.message)) {
      mask = /^export\s+default\b/.exec(rest);
      if (mask) {
        source =
          source.slice(0, at) + ';_=' + blank(mask[0]).slice(3) + source.slice(at + mask[0].length);
        continue;
      }
      mask =
        /^export\s*(?:\{[^}]*\}|\*(?:\s*as\s+[^\s;]+)?)\s*(?:from\s*(["'])[^"'\n]*\1)?/.exec(
          rest,
        ) || /^export\b/.exec(rest);
    } else if (/^Cannot use import statement/.test(error.message)) {
      mask = /^import\b(?:[^"'()]*?from)?\s*(["'])[^"'\n]*\1/.exec(rest);
    } else if (IMPORT.test(error.message)) {
      const start = source.lastIndexOf('import', at);
      source =
        source.slice(0, start) + source.slice(start, at).replace(/[^\n]/g, '_') + source.slice(at);
      continue;
    }
    if (!mask) return place;
    source = source.slice(0, at) + blank(mask[0]) + source.slice(at + mask[0].length);
  }
  return null;
}

function remark(file, error, place) {
  if (error.name === 'RangeError') {
    // The parser's own stack: V8 says where in Node.js that was.
    return { ...remark(file, { name: 'SyntaxError', message: 'the source is nested too deep' }, null) };
  }
  return {
    file,
    line: place ? place.line : 0,
    column: place ? place.column : 0,
    message: error.name + ': ' + error.message,
    severity: 'error',
    kind: 'syntax',
  };
}

function check(file, source) {
  if (source.charCodeAt(0) === 0xfeff) source = ' ' + source.slice(1);
  if (source.startsWith('#!')) source = '//' + source.slice(2);
  const esm = {
    file,
    line: 0,
    column: 0,
    message: 'is an ES module',
    severity: 'warning',
    kind: 'esm',
  };
  let scriptError = null;
  if (!file.endsWith('.mjs')) {
    scriptError = parseScript(source, file);
    if (scriptError === null) return [];
    const { message } = scriptError;
    if (
      file.endsWith('.cjs') ||
      !(IMPORT.test(message) || EXPORT.test(message) || AWAIT.test(message))
    ) {
      return [remark(file, scriptError, syntaxPlace(scriptError.stack))];
    }
  }
  const error = parseModule(source, file);
  if (error === null) return [esm];
  // "await is only valid in async functions" says more than what the module's parser makes of the
  // same place.
  if (scriptError && AWAIT.test(scriptError.message)) {
    return [remark(file, scriptError, syntaxPlace(scriptError.stack))];
  }
  return [esm, remark(file, error, placeInModule(source, file))];
}

module.exports = { check };
