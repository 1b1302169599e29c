'use strict';
// Stack traces of transpiled files point at the lines the user wrote, in the file where they were
// written: a bundle's map names each by its path below the function's folder. The map is the last line of
// the transpiled file (an inline source map) and is read when the first error needs it, so that it
// costs nothing until then.
const fs = require('fs');
const { SourceMap } = require('module');
const path = require('path');

const MARK = '//# sourceMappingURL=data:application/json;base64,';
const maps = new Map();
let folder = '/function/';

function mapOf(file) {
  if (maps.has(file)) return maps.get(file);
  let map = null;
  try {
    const text = fs.readFileSync(file, 'utf8');
    const at = text.lastIndexOf(MARK);
    if (at >= 0)
      map = new SourceMap(
        JSON.parse(Buffer.from(text.slice(at + MARK.length), 'base64').toString('utf8')),
      );
  } catch (_) {
    /* a file without a map keeps its own lines */
  }
  maps.set(file, map);
  return map;
}

function frame(site) {
  const text = String(site);
  const file = site.getFileName();
  const line = site.getLineNumber();
  const column = site.getColumnNumber();
  if (!file || !line || !column) return text;
  if (!file.startsWith(folder) || file.includes('/node_modules/')) return text;
  const map = mapOf(file);
  const entry = map && map.findEntry(line - 1, column - 1);
  if (!entry || entry.originalLine === undefined) return text;
  // A script that was compiled elsewhere may have a map of its own.
  if (/^(?:\.\.)?\//.test(entry.originalSource)) return text;
  const source = entry.originalSource ? path.join(folder, entry.originalSource) : file;
  return text.replace(
    `${file}:${line}:${column}`,
    `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`,
  );
}

function install(root) {
  folder = path.join(root, '/');
  const toText = Error.prototype.toString;
  Error.prepareStackTrace = (error, sites) => {
    let head;
    try {
      head = toText.call(error);
    } catch (_) {
      head = 'Error';
    }
    return sites.reduce((text, site) => text + '\n    at ' + frame(site), head);
  };
}

module.exports = { install };
