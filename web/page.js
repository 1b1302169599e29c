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

async function get(path) {
  const response = await fetch(path);
  const body = await response.json();
  if (!response.ok) throw new Error(explain(body));
  return body;
}

async function showHealth() {
  const health = await get('/api/health');
  const missing = health.sandbox.layers.filter((layer) => !layer.active).map((layer) => layer.name);
  at('health').textContent = `${health.status} · version ${health.version}` +
    (missing.length ? ` · sandbox without ${missing.join(', ')}` : '');
  at('health').className = health.status === 'ok' ? 'good' : 'bad';
}

async function showRuntimes() {
  const { runtimes } = await get('/api/v1/runtimes');
  at('runtimes').replaceChildren(...runtimes.map((runtime) => {
    const item = document.createElement('li');
    item.append(element('strong', runtime.display_name),
      runtime.available ? element('span', runtime.version, 'good') : element('span', `${runtime.reason} ${runtime.hint || ''}`, 'bad'),
      element('small', [runtime.name, ...runtime.aliases].join(', ')));
    return item;
  }));
}

async function showFunctions() {
  const { functions } = await get('/api/v1/functions?limit=100');
  const chosen = at('name').value;
  at('functions').replaceChildren(...functions.map((f) => {
    const item = document.createElement('li');
    const pick = element('button', f.name);
    pick.type = 'button';
    pick.onclick = () => { at('name').value = f.name; at('event').focus(); };
    item.append(pick, element('small', `${f.runtime} · version ${f.version}`), element('span', f.state, f.state === 'ready' ? 'good' : 'bad'));
    return item;
  }));
  at('name').replaceChildren(...functions.map((f) => element('option', f.name)));
  if (functions.some((f) => f.name === chosen)) at('name').value = chosen;
  at('empty').hidden = functions.length > 0;
  at('first').textContent = `curl -H 'Content-Type: application/json' ${location.origin}/api/v1/functions -d '` +
    JSON.stringify({ name: 'hello', runtime: 'python', handler: 'handler', code: 'def handler(event, context):\n    return {"hello": event}' })
      .replaceAll("'", "'\\''") + "'";
}

async function invoke(submitted) {
  submitted.preventDefault();
  at('trouble').textContent = at('facts').textContent = at('result').textContent = '';
  try {
    JSON.parse(at('event').value || '{}');
  } catch (error) {
    at('trouble').textContent = `The event is not JSON: ${error.message}`;
    return;
  }
  const button = at('invoke').querySelector('button');
  button.disabled = true;
  try {
    const response = await fetch(`/api/v1/functions/${encodeURIComponent(at('name').value)}/invoke`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: `{"event":${at('event').value || '{}'}}`,
    });
    const answer = await response.json();
    if (!response.ok) {
      at('trouble').textContent = explain(answer);
    } else {
      at('facts').textContent = `${answer.status} · ${answer.duration_ms} ms · ${answer.cold_start ? 'cold' : 'warm'} · version ${answer.version}`;
      at('result').textContent = JSON.stringify(answer.status === 'error' ? answer.error : answer.result, null, 2);
    }
  } catch (error) {
    at('trouble').textContent = `The platform does not answer: ${error.message}`;
  } finally {
    button.disabled = false;
  }
}

async function refresh() {
  try {
    await Promise.all([showHealth(), showRuntimes(), showFunctions()]);
  } catch (error) {
    at('health').textContent = error.message;
    at('health').className = 'bad';
  }
}

at('invoke').addEventListener('submit', invoke);
at('invoke').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) at('invoke').requestSubmit();
});
refresh();
setInterval(refresh, 5000);
