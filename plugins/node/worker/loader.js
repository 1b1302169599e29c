'use strict';
// LOAD: turns an artifact's folder and a handler's name into a function to call.
//
// The executor leaves `.cloudfunction.json` in the artifact: {"entry": "index.js", "module": false,
// "name": "handler", "transpiled": false}. A folder without it is looked at by convention.
const fs = require('fs');
const Module = require('module');
const path = require('path');
const { pathToFileURL } = require('url');
const { Fault, setRoot } = require('./errors');

const MANIFEST = '.cloudfunction.json';
// Under this name the executor exports a module's bare function, and keeps that of a bundle.
const ALIAS = '__cloudfunction_handler';
const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.tsx', '.jsx'];
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u;

function locate(folder, handler) {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, MANIFEST), 'utf8'));
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  const dot = handler.lastIndexOf('.');
  const stem = dot < 0 ? 'index' : handler.slice(0, dot);
  const extension = EXTENSIONS.find((e) => fs.existsSync(path.join(folder, stem + e)));
  if (!extension)
    throw new Fault('HandlerNotFound', `there is no file ${stem}.js for the handler "${handler}"`);
  return { entry: stem + extension, module: extension === '.mjs', name: handler.slice(dot + 1) };
}

// In an artifact with compiled TypeScript every file is CommonJS and keeps its name, whatever that
// usually means to Node.js. `require('./util')`, './util.ts' and './util.js' all find util.ts.
// Packages are left alone.
function acceptTranspiled(folder) {
  const byNode = { ...Module._extensions };
  const load = (module, file) => {
    if (file.includes('/node_modules/')) {
      const extension = path.extname(file);
      // Before it can load them, Node.js itself refuses modules, but only without a function here.
      if (extension === '.mjs' && !byNode[extension]) {
        const error = new Error(`require() of ES Module ${file} is not supported`);
        throw Object.assign(error, { code: 'ERR_REQUIRE_ESM' });
      }
      (byNode[extension] || byNode['.js'])(module, file);
    } else {
      module._compile(fs.readFileSync(file, 'utf8'), file);
    }
  };
  for (const extension of EXTENSIONS) Module._extensions[extension] = load;
  const resolve = Module._resolveFilename;
  const sources = { '.js': ['.ts', '.tsx', '.jsx'], '.mjs': ['.mts'], '.cjs': ['.cts'] };
  Module._resolveFilename = function (request, ...rest) {
    try {
      return resolve.call(this, request, ...rest);
    } catch (error) {
      const extension = path.extname(request);
      for (const other of /^\.{0,2}\//.test(request) ? sources[extension] || [] : []) {
        try {
          return resolve.call(this, request.slice(0, -extension.length) + other, ...rest);
        } catch (_) {
          /* the first error names what the user wrote */
        }
      }
      throw error;
    }
  };
  require('./sourcemaps').install(folder);
}

// `found` is the function of that name at the file's top level, if there is one: no export is
// needed.
function loadScript(file, name) {
  let source = fs.readFileSync(file, 'utf8');
  if (source.charCodeAt(0) === 0xfeff) source = source.slice(1);
  if (source.startsWith('#!')) source = '//' + source.slice(2);
  const bare = `typeof ${name} === 'undefined' ? undefined : ${name}`;
  const accessor =
    name === 'default' ? '' : `\n;return typeof ${ALIAS} === 'undefined' ? ${bare} : ${ALIAS};`;
  const module = new Module(file, null);
  module.filename = file;
  module.paths = Module._nodeModulePaths(path.dirname(file));
  Module._cache[file] = module;
  const found = module._compile(source + accessor, file);
  module.loaded = true;
  return { exports: module.exports, found };
}

function pick(exported, found, name) {
  const isObject =
    exported !== null && (typeof exported === 'object' || typeof exported === 'function');
  const byDefault = isObject ? exported.default : undefined;
  const candidates = [
    isObject ? exported[name] : undefined,
    found,
    byDefault,
    byDefault !== null && typeof byDefault === 'object' ? byDefault[name] : undefined,
    exported,
  ];
  return candidates.find((candidate) => typeof candidate === 'function');
}

// Where the name is defined, as {file, line, column}; {} where that is not known.
function definition(file, entry, name, transpiled) {
  try {
    const place = transpiled ? null : require('./places').definitionOf(file, name);
    return place ? { file: entry, ...place } : {};
  } catch (_) {
    return {};
  }
}

function notFound(file, entry, name, transpiled, exported, value) {
  // null: what stands for a handler that a bundle has none of.
  if (value !== undefined && value !== null) {
    const fault = new Fault(
      'HandlerNotFound',
      `"${name}" in ${entry} is of type ${typeof value}, not a function`,
      `write: function ${name}(event, context) { ... }`,
    );
    Object.assign(fault.fault, definition(file, entry, name, transpiled));
    return fault;
  }
  const names = Object.keys(exported || {}).filter(
    (key) => typeof exported[key] === 'function' && key !== ALIAS,
  );
  try {
    if (!transpiled) names.push(...require('./places').functionsIn(file));
  } catch (_) {
    /* those that are exported will do */
  }
  return new Fault(
    'HandlerNotFound',
    `there is no function named ${name} in ${entry}`,
    names.length > 0
      ? `functions in ${entry}: ${[...new Set(names)].join(', ')}`
      : `add: function ${name}(event, context) { ... }`,
  );
}

// A callback would never be heard: the answer is what the handler returns.
function refuseCallback(file, entry, name, transpiled, count) {
  const fault = new Fault(
    'HandlerSignature',
    `the handler ${name} takes ${count} parameters, but it is called with event and context: ` +
      'there is no callback',
    'return the value, or a promise of it: async function handler(event, context) { ... }',
  );
  Object.assign(fault.fault, definition(file, entry, name, transpiled));
  return fault;
}

// Resolves to the handler; rejects with what user code threw, or with a Fault in words.
async function load(folder, handler) {
  setRoot(folder);
  const { entry, module, name, transpiled } = locate(folder, handler);
  if (!IDENTIFIER.test(name))
    throw new Fault('HandlerNotFound', `"${name}" is not the name of a function`);
  const file = path.join(folder, entry);
  if (transpiled) acceptTranspiled(folder);
  let exported, found;
  if (module) {
    exported = await import(pathToFileURL(file).href);
    found = exported[ALIAS];
  } else {
    ({ exports: exported, found } = loadScript(file, name));
  }
  const chosen = pick(exported, found, name);
  if (!chosen) {
    const own = exported === null || exported === undefined ? undefined : exported[name];
    throw notFound(file, entry, name, transpiled, exported, own === undefined ? found : own);
  }
  if (chosen.length > 2) throw refuseCallback(file, entry, name, transpiled, chosen.length);
  return chosen;
}

module.exports = { load, loadScript };
