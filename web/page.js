'use strict';

const at = (id) => document.getElementById(id);

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

// A failure document in sentences.
function explain(problem) {
  return [problem.detail || problem.title, problem.hint && `Hint: ${problem.hint}`, problem.limit && `Limit: ${problem.limit}`,
    problem.observed && `Observed: ${problem.observed}`].filter(Boolean).map(sentence).join(' ');
}

// What a function threw, with its stack as its language writes it.
function describe(error) {
  const stack = error.stack?.length ? error.stack : error.file ? [`${error.file}, line ${error.line}`] : [];
  return [`${error.type}: ${error.message}`, ...stack, error.hint && sentence(`Hint: ${error.hint}`)].filter(Boolean).join('\n');
}

// Numbers with the digits that the function sent, where the browser can: as numbers of JavaScript they would be rounded.
const exact = (key, value, context) => (typeof value === 'number' && JSON.rawJSON && context ? JSON.rawJSON(context.source) : value);

const wrong = (text, more) => Object.assign(new Error(text), more);

// The answer to a request, and its text; whatever keeps it from coming is an error in words.
async function ask(path, options) {
  const sent = token;
  let response;
  let text;
  try {
    response = await fetch(path, withToken(options));
    text = await response.text();
  } catch (error) {
    throw wrong(error.name === 'TimeoutError' ? 'The platform has not answered in time.' : 'The platform does not answer.', { silent: true });
  }
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Error(`Something between the platform and this page answered, with the status ${response.status}.`);
  }
  if (response.status === 401) {
    askForToken(sent);
    throw wrong('The platform asks for a token.', { asks: true });
  }
  if (!response.ok) throw wrong(explain(answer) || `The answer has the status ${response.status}.`, { status: response.status, answer });
  if (locked()) unlock();
  return { answer, text };
}

// Kept nowhere else: what functions answer to browsers comes from the same origin and could read a store.
let token = '';
const withToken = (options) => (token ? { ...options, headers: { ...options?.headers, Authorization: `Bearer ${utf8(token)}` } } : options);
const utf8 = (text) => String.fromCharCode(...new TextEncoder().encode(text));
const locked = () => !at('login').hidden;

function askForToken(refused) {
  if (refused !== token || (!refused && locked())) return;  // one of several requests that say the same
  write('login-trouble', refused && 'The platform does not know this token.');
  token = '';
  at('login').hidden = false;
  at('parts').hidden = at('links').hidden = true;
  at('token').focus();
}

function unlock() {
  at('login').hidden = true;
  at('parts').hidden = at('links').hidden = false;
  at('token').value = '';
  at('event').focus();
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

const get = async (path) => (await ask(path, { signal: AbortSignal.timeout(20000) })).answer;

async function showHealth() {
  const health = await get('/api/health');
  const missing = health.sandbox.layers.filter((layer) => !layer.active).map((layer) => layer.name);
  write('health', [health.status, `version ${health.version}`, ...(missing.length ? [`sandbox without ${missing.join(', ').replaceAll('_', ' ')}`] : []),
    ...health.problems].join(' · '), health.status === 'ok' ? 'good' : 'bad');
}

async function showRuntimes() {
  const { runtimes } = await get('/api/v1/runtimes');
  show('runtimes', runtimes, () => at('runtimes').replaceChildren(...runtimes.map((runtime) => {
    const item = document.createElement('li');
    item.append(element('strong', runtime.display_name),
      runtime.available ? element('span', runtime.version, 'good') : element('span', [runtime.reason, runtime.hint].filter(Boolean).map(sentence).join(' '), 'bad'),
      element('small', [runtime.name, ...(runtime.aliases || []).map((alias) => alias.name || alias)].join(', ')));
    return item;
  })));
}

function drawFunctions(functions) {
  const held = at('functions').contains(document.activeElement) && document.activeElement.textContent;
  at('functions').replaceChildren(...functions.map((f) => {
    const item = document.createElement('li');
    const pick = element('button', f.name);
    pick.type = 'button';
    pick.onclick = () => { at('name').value = f.name; markChosen(); keep(); at('event').focus(); };
    item.append(pick, element('small', `${f.runtime} · version ${f.version}`), element('span', f.state, states[f.state]));
    return item;
  }));
  picks().find((pick) => pick.textContent === held)?.focus({ preventScroll: true });
}

const states = { ready: 'good', failed: 'bad' };
const picks = () => [...at('functions').querySelectorAll('button')];

function markChosen() {
  for (const pick of picks()) pick.setAttribute('aria-current', pick.textContent === at('name').value);
}

// What was typed outlives a reload. It is part of the tab's history, which other pages of this origin cannot read.
const kept = history.state || {};

function keep() {
  history.replaceState({ name: chosenName(), event: at('event').value }, '');
}

const listed = () => 'name' in shown && at('name').options.length > 0;
const chosenName = () => (listed() ? at('name').value : kept.name || '');

// Never chooses another function in place of one that is gone: Ctrl+Enter would run it.
function drawNames(names) {
  const chosen = chosenName() || (listed() ? '' : names[0]);
  at('name').replaceChildren(...names.map((name) => element('option', name)));
  at('name').value = names.includes(chosen) ? chosen : '';
}

// Whether a function that the list need not name is still there.
async function isThere(name) {
  try {
    await get(`/api/v1/functions/${encodeURIComponent(name)}?files=false`);
  } catch (error) {
    return error.status !== 404;
  }
  return true;
}

async function showFunctions() {
  const find = at('find').value.trim();
  const { functions, next_cursor: more } = await get(`/api/v1/functions?limit=100${find && `&q=${encodeURIComponent(find)}`}`);
  const names = functions.map((f) => f.name);
  const chosen = chosenName();
  if ((find || more) && chosen && !names.includes(chosen) && await isThere(chosen)) names.unshift(chosen);  // not seen is not gone
  if (find !== at('find').value.trim()) return;  // somebody typed on: the next answer counts
  show('functions', functions, () => drawFunctions(functions));
  show('name', names, () => drawNames(names));
  markChosen();
  at('finder').hidden = !find && functions.length <= 10;
  write('found', more ? 'Only the first 100 are shown: narrow them by a part of the name or description.' :
    find && !functions.length ? 'No function has this in its name or description.' : '');
  at('empty').hidden = Boolean(find) || functions.length > 0;
  at('none').hidden = at('empty').hidden;
  at('invoke').hidden = at('skip').hidden = !at('empty').hidden;
  write('first', `curl ${location.origin}/api/v1/functions \\\n  -H 'Content-Type: application/json' \\\n` +
    `${token && "  -H 'Authorization: Bearer TOKEN' \\\n"}  -d '{\n  "name": "hello", "runtime": "python",\n` +
    `  "code": ${JSON.stringify('def handler(event, context):\n    return {"hello": event}\n')}\n}'`);
}

const lasted = (ms) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(2)} s`);

// What is there to find a call again, and what it printed, which its record has.
async function showCall(id) {
  write('call', id && `Invocation ${id}`);
  if (!id) return;
  const { logs } = await get(`/api/v1/invocations/${id}`).catch(() => ({}));  // not every success has one
  if (at('call').textContent !== `Invocation ${id}` || !logs?.length) return;
  write('call', `Invocation ${id} printed:`);
  at('printed').textContent = logs.join('\n');
}

const longest = 100000;  // characters of a result that are shown: more of them stop the browser for seconds
let running = false;
let unanswered = false;  // the last call was, by a platform that was not there

async function invoke(submitted) {
  submitted.preventDefault();
  if (running) return;
  at('trouble').textContent = '';
  const name = at('name').value;
  const event = at('event').value.trim() || '{}';
  try {
    JSON.parse(event);
  } catch (error) {
    at('trouble').textContent = sentence(`The event is not JSON: ${error.message}`);
    for (const id of ['facts', 'call']) write(id, '');
    for (const id of ['result', 'printed']) at(id).textContent = '';
    at('event').focus();
    return;
  }
  setRunning(true);
  write('facts', `${name} · running …`);
  let facts = '';
  let result = '';
  let failed = false;
  let id = '';
  unanswered = false;
  try {
    const { answer, text } = await ask(`/api/v1/functions/${encodeURIComponent(name)}/invoke`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: `{"event":${event}}`,
    });
    failed = answer.status === 'error';
    id = answer.invocation_id;
    facts = `${name} · ${answer.status} · ${lasted(answer.duration_ms)} · ${answer.cold_start ? 'cold' : 'warm'} · version ${answer.version}`;
    result = failed ? describe(answer.error) : JSON.stringify(JSON.parse(text, exact).result, null, 2);
    if (result.length > longest) {
      facts += ` · the first ${longest} of ${result.length} characters`;
      result = result.slice(0, longest);
    }
  } catch (error) {
    at('trouble').textContent = error.message;
    facts = `${name} · failure`;
    failed = true;
    id = error.answer?.invocation_id;
    unanswered = Boolean(error.silent);
  } finally {
    setRunning(false);
    write('facts', facts, failed ? 'bad' : '');
    at('result').textContent = result;
    at('printed').textContent = '';
    showCall(id || '');
  }
}

// The button keeps the focus, the last result its place: nothing jumps when the answer comes.
function setRunning(on) {
  running = on;
  at('invoke').querySelector('button').setAttribute('aria-disabled', on);
  at('result').className = at('printed').className = on ? 'old' : '';
}

// Shows these parts, or why that cannot be.
async function update(...parts) {
  const failed = (await Promise.allSettled(parts.map((part) => part()))).find((done) => done.status === 'rejected');
  if (failed) write('health', failed.reason.message + (heard ? ` What is shown is from ${heard}.` : ''), failed.reason.asks ? '' : 'bad');
  return !failed;
}

let refreshing = false;
let next;
let heard;  // when the platform answered everything last

async function refresh() {
  if (refreshing || document.hidden || (locked() && !token)) return;
  refreshing = true;
  clearTimeout(next);
  if (await update(showHealth, showRuntimes, showFunctions)) {
    heard = new Date().toLocaleTimeString();
    if (unanswered) at('trouble').textContent = 'The platform did not answer this call. It is there again.';
    unanswered = false;
  }
  refreshing = false;
  next = setTimeout(refresh, 5000);
}

at('login-form').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  token = at('token').value.trim();
  refresh();
});
at('invoke').addEventListener('submit', invoke);
at('invoke').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !event.repeat) at('invoke').requestSubmit();
});
at('name').addEventListener('change', markChosen);
at('find').addEventListener('input', async () => {
  if (!await update(showFunctions)) write('found', 'The platform could not be asked: this is the list from before.');
});
at('skip').addEventListener('click', (event) => {
  event.preventDefault();  // the tab's history keeps what was typed
  at('name').focus();
});
// A link sends no token: what is behind it is fetched.
for (const link of [at('reference'), at('state')]) {
  link.addEventListener('click', async (event) => {
    if (!token) return;
    event.preventDefault();
    const response = await fetch(link.getAttribute('href'), withToken()).catch(() => null);
    const opened = document.createElement('a');
    opened.href = URL.createObjectURL(new Blob([response ? await response.text() : 'The platform does not answer.'], { type: 'text/plain' }));
    opened.target = '_blank';
    opened.click();
  });
}
let keeping;
at('invoke').addEventListener('input', () => {
  clearTimeout(keeping);
  keeping = setTimeout(keep, 400);  // browsers refuse to be told of every key
});
document.addEventListener('visibilitychange', refresh);
if (kept.event) at('event').value = kept.event;
refresh();
