// What web/page.js does with what the platform answers and its user types, without a browser.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { json, list, open, platform } = require('./stand_in.js');

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
  page.type('event', '{"a": 1,}');
  await page.press();
  assert.match(page.at('trouble').textContent, /^The event is not JSON: /);
  assert.equal(page.document.activeElement, page.at('event'));
  assert.ok(!page.calls.some((call) => call.method));
  page.type('event', ' \n');
  await page.press();
  assert.equal(page.at('trouble').textContent, '');
  assert.equal(page.calls.at(-1).body, '{"event":{}}');
});
