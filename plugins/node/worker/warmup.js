'use strict';
// While a prewarmed worker waits, it goes once through everything that loading and calling a
// function needs, so that the first call does not pay for code that V8 has not compiled yet.
// Nothing of it leaves the process. In steps, so that a frame which arrives meanwhile waits for one
// step at most.
const Module = require('module');
const path = require('path');
const { pathToFileURL } = require('url');
const wire = require('./wire');
const { documentOf } = require('./errors');
const { check } = require('./checker');
const { loadScript } = require('./loader');

const COMMON = ['crypto', 'https', 'url', 'util', 'zlib']; // what functions require most
const sample = path.join(__dirname, 'sample.js');

// `rehearse(handler)` runs one made-up invocation; `wanted()` says whether warming up still makes
// sense.
function warmUp(rehearse, wanted) {
  const steps = [
    () => {
      rehearse(loadScript(sample, 'sample').found);
      delete Module._cache[sample];
    },
    () => {
      console.log('%s', 'warm', { a: [1, 'b'] });
      console.error(new Error('warm'));
    },
    () => documentOf(new RangeError('warm')),
    () => check('sample.js', 'function sample() { return 1; }'),
    () => {
      import(pathToFileURL(path.join(__dirname, 'sample.mjs')).href).catch(() => {});
    },
    () => COMMON.forEach((name) => require(name)),
  ];
  const next = () => {
    // Asked first: once user code is there, nothing of it may run in here.
    const step = wanted() && steps.shift();
    if (!step) return;
    wire.mute(true);
    try {
      step();
    } catch (_) {
      /* the first call pays for it, and says what is wrong */
    }
    wire.mute(false);
    setTimeout(next, 0).unref();
  };
  next();
}

module.exports = { warmUp };
