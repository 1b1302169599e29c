'use strict';
// Where in the function's own source something stands that no frame of a stack names: an import,
// the definition of a handler. Required when a function fails, so that it costs nothing until then.
const fs = require('fs');
const path = require('path');
const { fileURLToPath } = require('url');

// Lines of what was compiled are not the user's.
const MARK = '//# sourceMappingURL=data:application/json;base64,';
const NAME = '[\\p{ID_Start}$_][\\p{ID_Continue}$\\u200c\\u200d]*';
const EXPORT = '^(?:export\\s+(?:default\\s+)?)?';
const FUNCTION = EXPORT + '(?:async\\s+)?function\\b\\s*\\*?\\s*';
const FUNCTIONS = [
  new RegExp(FUNCTION + `(${NAME})`, 'gmu'),
  new RegExp(
    EXPORT + `(?:const|let|var)\\s+(${NAME})\\s*=\\s*(?:async\\b\\s*)?` +
      `(?:function\\b|\\([^()]*\\)\\s*=>|${NAME}\\s*=>)`,
    'gmu',
  ),
];
const MOST_NAMES = 20;

function sourceOf(file) {
  try {
    const text = fs.readFileSync(file, 'utf8');
    return text.includes(MARK) ? '' : text;
  } catch (_) {
    return '';
  }
}

function at(source, index) {
  const begin = source.lastIndexOf('\n', index - 1) + 1;
  return { line: source.slice(0, begin).split('\n').length, column: index - begin + 1 };
}

// Names of the functions at the top level of a file, as far as the usual forms tell.
function functionsIn(file) {
  const source = sourceOf(file);
  const names = new Set();
  for (const form of FUNCTIONS) for (const match of source.matchAll(form)) names.add(match[1]);
  return [...names].slice(0, MOST_NAMES);
}

// {line, column} of the name where it is defined, or null.
function definitionOf(file, name) {
  const source = sourceOf(file);
  const plain = name.replace(/\$/g, '\\$&');
  for (const form of [
    FUNCTION + `(?=${plain}(?![\\p{ID_Continue}$]))`,
    EXPORT + `(?:const|let|var)\\s+(?=${plain}\\s*=)`,
    `^(?:module\\.)?exports\\.(?=${plain}\\s*=)`,
    `^[ \\t]*(?:async\\s+)?(?=${plain}\\s*[:(])`,
    `^(?=module\\.exports\\s*=)`,
    `^(?=export\\s+default\\b)`,
  ]) {
    const match = new RegExp(form, 'mu').exec(source);
    if (match) return at(source, match.index + match[0].length);
  }
  return null;
}

// Where `importer` asks for the file or package that Node.js could not find, and how it calls it:
// {request, line, column}, or null.
function importOf(importer, target) {
  const source = sourceOf(importer);
  for (const match of source.matchAll(/(["'`])([^"'`\n\\]+)\1/g)) {
    const request = match[2];
    let found = request === target || request.startsWith(target + '/');
    if (/^\.{0,2}\//.test(request)) {
      found = path.resolve(path.dirname(importer), request) === target;
    } else if (request.startsWith('file:')) {
      try {
        found = fileURLToPath(request) === target;
      } catch (_) {
        /* not this one */
      }
    }
    const before = source.slice(Math.max(0, match.index - 80), match.index);
    if (found && /(?:\bfrom|\bimport|\()\s*$/.test(before)) {
      return { request, ...at(source, match.index) };
    }
  }
  return null;
}

module.exports = { definitionOf, functionsIn, importOf };
