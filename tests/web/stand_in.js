// A document, a network and a clock that stand in for a browser's, as far as web/page.js asks for them.
//
//     const page = open({ '/api/health': () => json({...}) });   // runs page.js against these answers
//     await page.settle();                                        // until nothing is under way any more
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const web = path.join(__dirname, '../../web');

class Element {
  constructor(owner, tagName, id = '') {
    Object.assign(this, { owner, tagName, id, children: [], parent: null, text: '', className: '', hidden: false, attributes: {}, listeners: {}, field: '' });
  }
  get textContent() { return this.text + this.children.map((child) => child.textContent).join(''); }
  set textContent(text) { this.replaceChildren(); this.text = text ?? ''; }
  get options() { return this.children; }
  get value() { return this.tagName === 'select' ? this.chosen ?? '' : this.tagName === 'option' ? this.attributes.value ?? this.text : this.field; }
  set value(value) {
    if (this.tagName === 'select') this.chosen = this.options.some((option) => option.value === value) ? value : undefined;
    else if (this.tagName === 'option') this.attributes.value = value;
    else this.field = value;
  }
  append(...children) {
    for (const child of children) child.parent = this;
    this.children.push(...children);
  }
  replaceChildren(...children) {
    if (this.contains(this.owner.activeElement) && this.owner.activeElement !== this) this.owner.activeElement = this.owner.body;
    this.drawn = (this.drawn ?? 0) + 1;
    this.children = [];
    this.text = '';
    this.append(...children);
    if (this.tagName === 'select') this.chosen = children[0]?.value;
  }
  contains(other) { return other === this || this.children.some((child) => child.contains(other)); }
  all(tagName) { return this.children.flatMap((child) => [...(child.tagName === tagName ? [child] : []), ...child.all(tagName)]); }
  querySelector(tagName) { return this.all(tagName)[0] ?? null; }
  querySelectorAll(tagName) { return this.all(tagName); }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  getAttribute(name) { return this.attributes[name] ?? null; }
  removeAttribute(name) { delete this.attributes[name]; }
  addEventListener(type, listener) { (this.listeners[type] ??= []).push(listener); }
  dispatch(type, more = {}) {
    for (const listener of this.listeners[type] ?? []) listener({ type, target: this, preventDefault() {}, ...more });
    if (type === 'click') this.onclick?.();
  }
  click() { this.owner.opened.push(this.href); }
  requestSubmit() { this.dispatch('submit'); }
  focus() { this.owner.activeElement = this; }
}

exports.json = (body, status = 200) => exports.text(typeof body === 'string' ? body : JSON.stringify(body), status);
exports.text = (body, status = 200) => ({ ok: status < 300, status, statusText: '', text: async () => body, json: async () => JSON.parse(body) });

// `answers` maps the beginning of a path to (path, options) => answer, or throws as fetch does; the longest one counts.
exports.open = (answers, { state = null } = {}) => {
  const document = { listeners: {}, hidden: false, opened: [] };
  document.addEventListener = (type, listener) => (document.listeners[type] ??= []).push(listener);
  document.createElement = (tagName) => new Element(document, tagName);
  document.body = document.activeElement = new Element(document, 'body');
  const ids = {};
  let form = null;
  for (const [, closing, tagName, attributes] of fs.readFileSync(path.join(web, 'index.html'), 'utf8').matchAll(/<(\/?)(\w+)([^>]*)>/g)) {
    if (tagName === 'form') form = closing ? null : 'next';
    const id = / id="([^"]+)"/.exec(attributes)?.[1];
    if (closing || (!id && tagName !== 'button')) continue;
    const made = new Element(document, tagName, id);
    made.hidden = / hidden\b/.test(attributes);
    if (id) ids[id] = made;
    for (const [, name, value] of attributes.matchAll(/ (href)="([^"]+)"/g)) made.setAttribute(name, value);
    (form && form !== 'next' ? form : document.body).append(made);
    if (form === 'next') form = made;
  }
  ids.event.value = '{}';
  document.getElementById = (id) => ids[id] ?? null;

  const page = { document, at: (id) => ids[id], calls: [], timers: new Map(), history: { state }, answers, open: 0 };
  let made = 0;
  const world = {
    document, location: { origin: 'http://localhost:8080' }, console, AbortSignal, TextEncoder, Blob: class { constructor(parts) { this.text = parts.join(''); } }, URL: { createObjectURL: (blob) => `blob:${blob.text}` },
    history: { get state() { return page.history.state; }, replaceState(next) { page.history.state = next; } },
    setTimeout: (run) => (page.timers.set(++made, run), made),
    clearTimeout: (timer) => page.timers.delete(timer),
    fetch: async (target, options = {}) => {
      page.calls.push({ path: target, ...options });
      page.open++;
      try {
        const known = Object.keys(page.answers).filter((start) => target.startsWith(start)).sort((a, b) => b.length - a.length)[0];
        return await page.answers[known](target, options);
      } finally {
        page.open--;
      }
    },
  };
  vm.runInNewContext(fs.readFileSync(path.join(web, 'page.js'), 'utf8'), world, { filename: 'page.js' });
  page.settle = async () => { for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate); };
  // What timers would do next.
  page.tick = async () => {
    const due = [...page.timers.values()];
    page.timers.clear();
    for (const run of due) run();
    await page.settle();
  };
  page.type = (id, value) => { ids[id].value = value; ids[id].dispatch('input'); };
  page.press = async () => { ids.invoke.dispatch('keydown', { key: 'Enter', ctrlKey: true }); await page.settle(); };
  return page;
};

const layer = { name: 'pid_namespace', active: true, detail: '' };
exports.health = { status: 'ok', version: '0.1.0', problems: [], sandbox: { layers: [layer] } };
exports.python = { name: 'python', display_name: 'Python', aliases: ['python3'], available: true, version: '3.11.7' };
exports.list = (...names) => ({ functions: names.map((name) => ({ name, runtime: 'python', version: 1, state: 'ready' })), next_cursor: null });

// The answers of a healthy platform with functions of these names.
exports.platform = (...names) => ({
  '/api/health': () => exports.json(exports.health),
  '/api/v1/runtimes': () => exports.json({ runtimes: [exports.python] }),
  '/api/v1/functions?': () => exports.json(exports.list(...names)),
  '/api/v1/invocations/': () => exports.json({ logs: [] }),
  '/api/v1/functions/': () => exports.json({ invocation_id: '01A', status: 'success', result: { done: true }, duration_ms: 1, cold_start: false, version: 1 }),
});
