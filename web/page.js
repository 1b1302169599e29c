'use strict';

const at = (id) => document.getElementById(id);

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// A failure document in one sentence.
function explain(problem) {
  return [problem.detail || problem.title, problem.hint && `Hint: ${problem.hint}.`, problem.limit && `Limit: ${problem.limit}.`]
    .filter(Boolean).join(' ');
}

// Calls `draw` only when `content` differs from what is there: what is drawn anew loses focus, selected text and an open list.
const shown = {};
function show(id, content, draw) {
  const text = JSON.stringify(content);
  if (shown[id] === text) return;
  draw();
  shown[id] = text;
}

const write = (id, text, className = '') => show(id, [text, className], () => {
  at(id).textContent = text;
  at(id).className = className;
});

async function get(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(20000) });
  const body = await response.json();
  if (!response.ok) throw new Error(explain(body));
  return body;
}

async function showHealth() {
  const health = await get('/api/health');
  const missing = health.sandbox.layers.filter((layer) => !layer.active).map((layer) => layer.name);
  write('health', `${health.status} · version ${health.version}` + (missing.length ? ` · sandbox without ${missing.join(', ')}` : ''),
    health.status === 'ok' ? 'good' : 'bad');
}

async function showRuntimes() {
  const { runtimes } = await get('/api/v1/runtimes');
  show('runtimes', runtimes, () => at('runtimes').replaceChildren(...runtimes.map((runtime) => {
    const item = document.createElement('li');
    item.append(element('strong', runtime.display_name),
      runtime.available ? element('span', runtime.version, 'good') : element('span', `${runtime.reason} ${runtime.hint || ''}`, 'bad'),
      element('small', [runtime.name, ...runtime.aliases].join(', ')));
    return item;
  })));
}

function drawFunctions(functions) {
  const held = at('functions').contains(document.activeElement) && document.activeElement.textContent;
  at('functions').replaceChildren(...functions.map((f) => {
    const item = document.createElement('li');
    const pick = element('button', f.name);
    pick.type = 'button';
    pick.onclick = () => { at('name').value = f.name; at('event').focus(); };
    item.append(pick, element('small', `${f.runtime} · version ${f.version}`), element('span', f.state, f.state === 'ready' ? 'good' : 'bad'));
    return item;
  }));
  [...at('functions').querySelectorAll('button')].find((pick) => pick.textContent === held)?.focus({ preventScroll: true });
}

// Never chooses another function in place of one that is gone: Ctrl+Enter would run it.
function drawNames(names) {
  const chosen = at('name').options.length ? at('name').value : names[0];
  at('name').replaceChildren(...names.map((name) => element('option', name)));
  at('name').value = names.includes(chosen) ? chosen : '';
}

async function showFunctions() {
  const { functions } = await get('/api/v1/functions?limit=100');
  const names = functions.map((f) => f.name);
  show('functions', functions, () => drawFunctions(functions));
  show('name', names, () => drawNames(names));
  at('empty').hidden = functions.length > 0;
  write('first', `curl -H 'Content-Type: application/json' ${location.origin}/api/v1/functions -d '` +
    JSON.stringify({ name: 'hello', runtime: 'python', handler: 'handler', code: 'def handler(event, context):\n    return {"hello": event}' })
      .replaceAll("'", "'\\''") + "'");
}

let running = false;

async function invoke(submitted) {
  submitted.preventDefault();
  if (running) return;
  at('trouble').textContent = '';
  const name = at('name').value;
  const event = at('event').value.trim() || '{}';
  try {
    JSON.parse(event);
  } catch (error) {
    at('trouble').textContent = `The event is not JSON: ${error.message}`;
    at('event').focus();
    return;
  }
  setRunning(true);
  at('facts').textContent = `${name} · running …`;
  let facts = '';
  let result = '';
  try {
    const response = await fetch(`/api/v1/functions/${encodeURIComponent(name)}/invoke`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: `{"event":${event}}`,
    });
    const answer = await response.json();
    if (!response.ok) {
      at('trouble').textContent = explain(answer);
    } else {
      facts = `${name} · ${answer.status} · ${answer.duration_ms} ms · ${answer.cold_start ? 'cold' : 'warm'} · version ${answer.version}`;
      result = JSON.stringify(answer.status === 'error' ? answer.error : answer.result, null, 2);
    }
  } catch (error) {
    at('trouble').textContent = `The platform does not answer: ${error.message}`;
  } finally {
    setRunning(false);
    at('facts').textContent = facts;
    at('result').textContent = result;
  }
}

// The button keeps the focus, the last result its place: nothing jumps when the answer comes.
function setRunning(on) {
  running = on;
  at('invoke').querySelector('button').setAttribute('aria-disabled', on);
  at('result').className = on ? 'old' : '';
}

let refreshing = false;
let next;

async function refresh() {
  if (refreshing || document.hidden) return;
  refreshing = true;
  clearTimeout(next);
  const failed = (await Promise.allSettled([showHealth(), showRuntimes(), showFunctions()])).find((done) => done.status === 'rejected');
  if (failed) write('health', failed.reason.message, 'bad');
  refreshing = false;
  next = setTimeout(refresh, 5000);
}

at('invoke').addEventListener('submit', invoke);
at('invoke').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !event.repeat) at('invoke').requestSubmit();
});
document.addEventListener('visibilitychange', refresh);
refresh();
