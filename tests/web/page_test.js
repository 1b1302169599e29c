// What web/page.js does with what the platform answers and its user types, without a browser.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { health, json, list, open, platform, python, text } = require('./stand_in.js');

test('refresh_leaves_alone_what_did_not_change', async () => {
  const page = open(platform('one', 'two'));
  await page.settle();
  const drawn = () => ['functions', 'name', 'runtimes', 'first', 'health'].map((id) => page.at(id).drawn);
  const before = drawn();
  await page.tick();
  assert.deepEqual(drawn(), before);
});

test('refresh_keeps_focus_and_choice', async () => {
  const page = open(platform('one', 'two'));
  await page.settle();
  page.at('name').value = 'two';
  page.at('functions').all('button')[1].focus();
  page.answers['/api/v1/functions?'] = () => json(list('new', 'one', 'two'));
  await page.tick();
  assert.equal(page.document.activeElement.textContent, 'two');
  assert.equal(page.at('functions').all('button').length, 3);
  assert.equal(page.at('name').value, 'two');
});

test('a_function_that_is_gone_is_replaced_by_no_other', async () => {
  const page = open(platform('one', 'two'));
  await page.settle();
  assert.equal(page.at('name').value, 'one');
  page.answers['/api/v1/functions?'] = () => json(list('two'));
  await page.tick();
  assert.equal(page.at('name').value, '');
  page.answers['/api/v1/functions?'] = () => json(list('three', 'two'));
  await page.tick();
  assert.equal(page.at('name').value, '');
});

test('one_refresh_at_a_time_and_none_while_hidden', async () => {
  const page = open(platform('one'));
  await page.settle();
  const answer = page.answers['/api/health'];
  let release;
  page.answers['/api/health'] = () => new Promise((resolve) => { release = () => resolve(answer()); });
  await page.tick();
  assert.equal(page.open, 1);
  assert.equal(page.timers.size, 0);
  release();
  await page.settle();
  page.answers['/api/health'] = answer;
  page.document.hidden = true;
  const before = page.calls.length;
  await page.tick();
  assert.equal(page.calls.length, before);
  page.document.hidden = false;
  for (const listener of page.document.listeners.visibilitychange) listener({});
  await page.settle();
  assert.ok(page.calls.length > before);
});

test('one_call_at_a_time', async () => {
  const page = open(platform('one', 'two'));
  await page.settle();
  await page.press();
  const first = page.at('result').textContent;
  assert.match(first, /"done": true/);
  let release;
  page.answers['/api/v1/functions/'] = () => new Promise((resolve) => { release = () => resolve(json({ status: 'success', result: 2, duration_ms: 1, version: 1 })); });
  await page.press();
  await page.press();
  assert.equal(page.calls.filter((call) => call.path.endsWith('/one/invoke')).length, 2);
  assert.match(page.at('facts').textContent, /^one · running/);
  assert.equal(page.at('result').textContent, first);
  page.at('name').value = 'two';
  release();
  await page.settle();
  assert.match(page.at('facts').textContent, /^one · success/);
  assert.equal(page.at('result').textContent, '2');
  await page.press();
  assert.equal(page.calls.at(-1).path, '/api/v1/functions/two/invoke');
});

test('an_event_that_is_not_json_is_not_sent', async () => {
  const page = open(platform('one'));
  await page.settle();
  await page.press();
  assert.match(page.at('result').textContent, /done/);
  page.calls.length = 0;
  page.type('event', '{"a": 1,}');
  await page.press();
  for (const id of ['result', 'facts', 'call', 'printed']) assert.equal(page.at(id).textContent, '', 'nothing of the call before');
  assert.match(page.at('trouble').textContent, /^The event is not JSON: /);
  assert.equal(page.document.activeElement, page.at('event'));
  assert.ok(!page.calls.some((call) => call.method));
  page.type('event', ' \n');
  await page.press();
  assert.equal(page.at('trouble').textContent, '');
  assert.equal(page.calls.findLast((call) => call.method).body, '{"event":{}}');
});

test('what_a_call_printed_and_its_id_are_shown', async () => {
  const page = open(platform('one'));
  await page.settle();
  page.answers['/api/v1/invocations/01A'] = () => json({ logs: ['first', 'second'] });
  await page.press();
  assert.equal(page.at('call').textContent, 'Invocation 01A printed:');
  assert.equal(page.at('printed').textContent, 'first\nsecond');
  page.answers['/api/v1/functions/'] = () => json({ ...problem, invocation_id: '01B' }, 504);
  page.answers['/api/v1/invocations/01B'] = () => json({ logs: ['before the end'] });
  await page.press();
  assert.equal(page.at('call').textContent, 'Invocation 01B printed:');
  assert.equal(page.at('printed').textContent, 'before the end');
  page.answers['/api/v1/invocations/01B'] = () => json({ status: 404, detail: 'none' }, 404);
  await page.press();
  assert.equal(page.at('printed').textContent, '');
});

test('long_durations_are_seconds', async () => {
  const page = open(platform('one'));
  await page.settle();
  for (const [ms, text] of [[0.21, '0.21 ms'], [999.9, '999.9 ms'], [3010.71, '3.01 s']]) {
    page.answers['/api/v1/functions/'] = () => json({ status: 'success', result: 1, duration_ms: ms, version: 1 });
    await page.press();
    assert.ok(page.at('facts').textContent.includes(` · ${text} · `), page.at('facts').textContent);
  }
});

const problem = { type: 'about:blank', title: 'Timeout', status: 504, reason: 'function_timeout', detail: 'the function did not answer within its timeout',
  hint: 'raise timeout', limit: '1000 ms', observed: 'nothing.' };

test('failures_are_sentences', async () => {
  const page = open(platform('one'));
  await page.settle();
  page.answers['/api/v1/functions/'] = () => json(problem, 504);
  await page.press();
  assert.equal(page.at('trouble').textContent,
    'the function did not answer within its timeout. Hint: raise timeout. Limit: 1000 ms. Observed: nothing.');
  assert.equal(page.at('facts').textContent, 'one · failure');
  page.answers['/api/v1/functions/'] = () => json({ message: 'somebody else' }, 502);
  await page.press();
  assert.equal(page.at('trouble').textContent, 'The answer has the status 502.');
});

test('errors_of_functions_are_text', async () => {
  const page = open(platform('one'));
  await page.settle();
  const error = { type: 'ValueError', message: 'no "data"', stack: ['File "main.py", line 7, in handler\n    raise'], hint: 'send data' };
  page.answers['/api/v1/functions/'] = () => json({ status: 'error', error, duration_ms: 1, version: 1 });
  await page.press();
  assert.equal(page.at('result').textContent, 'ValueError: no "data"\nFile "main.py", line 7, in handler\n    raise\nHint: send data.');
  assert.equal(page.at('facts').className, 'bad');
});

test('silence_and_answers_of_others_are_told', async () => {
  const page = open(platform('one'));
  await page.settle();
  page.answers['/api'] = () => { throw new TypeError('Failed to fetch'); };
  for (const path of Object.keys(page.answers)) page.answers[path] = page.answers['/api'];
  await page.tick();
  assert.match(page.at('health').textContent, /^The platform does not answer\. What is shown is from .+\.$/);
  assert.equal(page.at('health').className, 'bad');
  assert.equal(page.at('functions').all('button').length, 1);
  await page.press();
  assert.equal(page.at('trouble').textContent, 'The platform does not answer.');
  for (const path of Object.keys(page.answers)) page.answers[path] = () => text('<html>', 502);
  await page.tick();
  assert.match(page.at('health').textContent, /^Something between the platform and this page answered, with the status 502\./);
  Object.assign(page.answers, platform('one'));
  await page.tick();
  assert.equal(page.at('health').textContent, 'ok · version 0.1.0');
});

test('what_is_not_there_yet_is_loading', () => {
  const page = fs.readFileSync(path.join(__dirname, '../../web/index.html'), 'utf8');
  assert.equal(page.match(/loading …/g).length, 3);  // in each panel until it is drawn
});

test('loading_ends', async () => {
  const page = open(platform('one'), { state: { name: 'two', event: '' } });
  await page.settle();
  page.at('invoke').dispatch('input');
  await page.tick();
  for (const id of ['found', 'name', 'runtimes']) assert.doesNotMatch(page.at(id).textContent, /loading/);
  assert.equal(page.history.state.name, '', 'it is gone');
  const slow = open({ ...platform('one', 'two'), '/api/v1/functions?': () => new Promise(() => {}) }, { state: { name: 'two', event: '' } });
  slow.at('invoke').dispatch('input');
  await slow.tick();
  assert.equal(slow.history.state.name, 'two', 'what is not listed yet stays chosen');
});

test('a_call_that_was_not_answered_is_no_news_when_the_platform_is_back', async () => {
  const page = open(platform('one'));
  await page.settle();
  const silence = () => { throw new TypeError('Failed to fetch'); };
  for (const path of Object.keys(page.answers)) page.answers[path] = silence;
  await page.press();
  await page.tick();
  assert.equal(page.at('trouble').textContent, 'The platform does not answer.');
  page.type('find', 'x');
  await page.settle();
  assert.match(page.at('found').textContent, /^The platform could not be asked/);
  page.type('find', '');
  Object.assign(page.answers, platform('one'));
  await page.tick();
  assert.equal(page.at('trouble').textContent, 'The platform did not answer this call. It is there again.');
  assert.equal(page.at('found').textContent, '');
  page.answers['/api/v1/functions/'] = () => json(problem, 504);
  await page.press();
  await page.tick();
  assert.match(page.at('trouble').textContent, /^the function did not answer/, 'what the platform said stays');
});

test('what_is_wrong_with_the_machine_is_told', async () => {
  const layers = [{ name: 'pid_namespace', active: false }, { name: 'cgroup', active: true }];
  const go = { name: 'go', display_name: 'Go', aliases: [{ name: 'golang' }], available: false, reason: 'go is not installed', hint: 'apt install golang' };
  const page = open({ ...platform(),
    '/api/health': () => json({ ...health, status: 'degraded', problems: ['workers of x do not start'], sandbox: { layers } }),
    '/api/v1/runtimes': () => json({ runtimes: [python, go] }) });
  await page.settle();
  assert.equal(page.at('health').textContent, 'degraded · version 0.1.0 · sandbox without pid namespace · workers of x do not start');
  assert.equal(page.at('runtimes').all('li')[1].textContent, 'Gogo is not installed. apt install golang.go, golang');
});

test('numbers_keep_their_digits', { skip: JSON.rawJSON ? false : 'this JavaScript cannot' }, async () => {
  const page = open(platform('one'));
  await page.settle();
  page.answers['/api/v1/functions/'] = () => json('{"status":"success","result":[12345678901234567890,1.0,1e400],"duration_ms":1,"version":1}');
  await page.press();
  assert.equal(page.at('result').textContent, '[\n  12345678901234567890,\n  1.0,\n  1e400\n]');
});

test('long_results_are_cut', async () => {
  const page = open(platform('one'));
  await page.settle();
  page.answers['/api/v1/functions/'] = () => json({ status: 'success', result: 'x'.repeat(200000), duration_ms: 1, version: 1 });
  await page.press();
  assert.equal(page.at('result').textContent.length, 100000);
  assert.match(page.at('facts').textContent, /the first 100000 of 200002 characters/);
});

test('many_functions_are_found_by_name', async () => {
  const names = Array.from({ length: 100 }, (_, index) => `f${index}`);
  const page = open({ ...platform(), '/api/v1/functions?': (path) => json(path.includes('&q=last%20one') ? list('last') : { ...list(...names), next_cursor: 'f99' }) });
  await page.settle();
  assert.equal(page.at('finder').hidden, false);
  assert.match(page.at('found').textContent, /^Only the first 100 are shown/);
  page.at('name').value = 'f7';
  page.type('find', 'last one ');
  await page.settle();
  assert.deepEqual(page.at('functions').all('button').map((pick) => pick.textContent), ['last']);
  assert.equal(page.at('name').value, 'f7');
  page.at('functions').all('button')[0].dispatch('click');
  assert.equal(page.at('name').value, 'last');
  assert.equal(page.at('functions').all('button')[0].getAttribute('aria-current'), 'true');
  page.type('find', '');
  await page.settle();
  assert.equal(page.at('functions').all('button').length, 100);
  assert.equal(page.at('name').value, 'last');
  page.answers['/api/v1/functions/last?'] = () => json({ status: 404, detail: 'none' }, 404);
  await page.tick();
  assert.equal(page.at('name').value, '', 'it was deleted');
  assert.ok(!page.at('name').textContent.includes('last'));
});

test('nothing_found_is_not_nothing_there', async () => {
  const page = open({ ...platform(), '/api/v1/functions?': (path) => json(path.includes('&q=') ? list() : list('one')) });
  await page.settle();
  assert.equal(page.at('finder').hidden, true);
  page.type('find', 'x');
  await page.settle();
  assert.match(page.at('found').textContent, /^No function has this/);
  assert.equal(page.at('empty').hidden, true);
  assert.equal(page.at('finder').hidden, false);
});

test('late_answers_to_what_was_typed_do_not_count', async () => {
  const page = open(platform('one'));
  await page.settle();
  const waiting = [];
  page.answers['/api/v1/functions?'] = (path) => new Promise((resolve) => waiting.push(() => resolve(json(list(path.split('&q=')[1])))));
  page.type('find', 'a');
  page.type('find', 'ab');
  await page.settle();
  for (const answer of waiting.reverse()) {
    answer();
    await page.settle();
  }
  assert.equal(page.at('functions').textContent.startsWith('ab'), true);
});

test('the_token_is_asked_for', async () => {
  const page = open(Object.fromEntries(Object.keys(platform()).map((path) => [path, () => json({ status: 401 }, 401)])));
  for (const [path, answer] of Object.entries(platform())) {
    page.answers[path] = (...call) => (call[1].headers?.Authorization === 'Bearer cf_right' ? answer(...call) : json({ status: 401, detail: 'no', reason: 'unauthorized' }, 401));
  }
  await page.settle();
  const form = page.at('login-form');
  assert.deepEqual([page.at('login').hidden, page.at('parts').hidden], [false, true]);
  assert.equal(page.at('login-trouble').textContent, '');
  assert.equal(page.document.activeElement, page.at('token'));
  assert.equal(page.at('health').className, '', 'a question is no fault');
  assert.equal(page.at('links').hidden, true);
  const before = page.calls.length;
  await page.tick();
  assert.equal(page.calls.length, before, 'nothing to ask without one');
  page.at('token').value = 'cf_wrong';
  form.requestSubmit();
  await page.settle();
  assert.equal(page.at('login').hidden, false);
  assert.equal(page.at('login-trouble').textContent, 'The platform does not know this token.');
  page.at('token').value = ' cf_right ';
  form.requestSubmit();
  await page.settle();
  assert.deepEqual([page.at('login').hidden, page.at('parts').hidden], [true, false]);
  assert.equal(page.at('token').value, '');
  assert.equal(page.at('health').textContent, 'ok · version 0.1.0');
  assert.match(page.at('first').textContent, /Authorization: Bearer TOKEN/);
  await page.press();
  const call = page.calls.find((one) => one.method === 'POST');
  assert.equal(call.headers.Authorization, 'Bearer cf_right');
  assert.equal(call.headers['Content-Type'], 'application/json');
  page.answers['/api/openapi.yaml'] = (_, options) => text(options.headers.Authorization);
  assert.equal(page.at('links').hidden, false);
  page.at('reference').dispatch('click');
  await page.settle();
  assert.deepEqual(page.document.opened, ['blob:Bearer cf_right']);
});

test('what_was_typed_outlives_a_reload', async () => {
  const page = open(platform('one', 'two'));
  await page.settle();
  page.type('event', '{"half": ');
  page.at('name').value = 'two';
  page.at('invoke').dispatch('input');
  await page.tick();
  const again = open(platform('one', 'two'), page.history);
  await again.settle();
  assert.equal(again.at('event').value, '{"half": ');
  assert.equal(again.at('name').value, 'two');
  const gone = open(platform('one'), page.history);
  await gone.settle();
  assert.equal(gone.at('name').value, '');
});

test('nothing_there_teaches_the_first_one', async () => {
  const page = open(platform());
  await page.settle();
  assert.deepEqual(['empty', 'none', 'invoke', 'finder'].map((id) => page.at(id).hidden), [false, false, true, true]);
  const sent = /-d '(.*)'$/s.exec(page.at('first').textContent)[1];
  assert.deepEqual(Object.keys(JSON.parse(sent)), ['name', 'runtime', 'code']);
  page.answers['/api/v1/functions?'] = () => json(list('hello'));
  await page.tick();
  assert.deepEqual(['empty', 'none', 'invoke'].map((id) => page.at(id).hidden), [true, true, false]);
  assert.equal(page.at('name').value, 'hello');
});

test('the_form_is_one_key_away', async () => {
  const page = open(platform('one'));
  await page.settle();
  page.at('skip').dispatch('click');
  assert.equal(page.document.activeElement, page.at('name'));
});

test('colours_can_be_read', () => {
  const style = fs.readFileSync(path.join(__dirname, '../../web/style.css'), 'utf8');
  const themes = [...style.matchAll(/:root \{([^}]*)\}/g)].map((root) => Object.fromEntries([...root[1].matchAll(/--(\w+): (#\w+)/g)].map((found) => found.slice(1))));
  assert.equal(themes.length, 2);
  for (const theme of themes) {
    for (const ground of [theme.ground, theme.panel]) {
      for (const name of ['quiet', 'accent', 'good', 'bad']) assert.ok(contrast(theme[name], ground) >= 4.5, `${name} ${theme[name]} on ${ground}`);
      assert.ok(contrast(theme.field, ground) >= 3, `field ${theme.field} on ${ground}`);
    }
  }
});

// As WCAG 2 defines it.
function contrast(one, other) {
  const light = (colour) => {
    const digits = colour.length === 4 ? [...colour.slice(1)].map((digit) => digit + digit) : colour.slice(1).match(/../g);
    const [r, g, b] = digits.map((pair) => parseInt(pair, 16) / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
  return bright / dark;
}
