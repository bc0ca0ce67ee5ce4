// curl, as in the README: publishing, health, metrics; and streams as a shell sees them.
'use strict';

const { spawn } = require('node:child_process');
const { test, until, assert } = require('./lib/harness.js');
const { serve } = require('./lib/server.js');
const { lint } = require('./lib/prometheus.js');

async function start(after, ...flags) {
  const server = await serve(...flags);
  after(server.stop);
  return server;
}

/** Runs curl; `said()` is its output so far, `done` its output at the end. */
function curl(after, ...args) {
  const child = spawn('curl', ['-sS', ...args]);
  let out = '';
  child.stdout.on('data', (data) => { out += data; });
  child.stderr.on('data', (data) => { out += `stderr: ${data}`; });
  after(() => child.kill());
  const done = new Promise((resolve, reject) => child.on('error', reject).on('close', () => resolve(out)));
  return { said: () => out, done };
}

/** The body and status of one request. */
async function ask(after, ...args) {
  const out = await curl(after, '-w', '\n%{http_code} %{content_type}', ...args).done;
  const [, body, status, type] = /^([^]*)\n(\d+) (.*)$/.exec(out);
  return { body, status: Number(status), type };
}

test('curl: publishing into a channel nobody reads is 202, into one with a reader 201, and offsets count', async (after) => {
  const server = await start(after), publish = `http://${server.internal}/api/publish/chat`;
  const first = await ask(after, '-d', 'hello', publish);
  assert.equal(first.status, 202);
  assert.equal(JSON.parse(first.body).subscribers, 0);
  const reader = curl(after, '-N', server.url + '/_/events?channel=chat');
  await until('the reader', () => server.metric('orbited_subscriptions'));
  const second = await ask(after, '-d', 'hello', publish), third = await ask(after, '-d', '{"a":1}', '-H', 'Content-Type: application/json', publish);
  assert.equal(second.status, 201);
  const answers = [second, third].map(({ body }) => JSON.parse(body));
  assert.deepEqual(answers.map(({ subscribers }) => subscribers), [1, 1]);
  assert.equal(answers[1].offset, answers[0].offset + 1);
  await until('the events', () => reader.said().includes('{"a":1}\n\n'));
  const events = reader.said().split('\n').filter((line) => line.startsWith('data:'));
  assert.deepEqual(events, ['data: hello', 'data: {"a":1}']);
});

test('curl: each plain transport of the README, as a shell sees it', async (after) => {
  const server = await start(after), publish = `http://${server.internal}/api/publish/chat`, events = server.url + '/_/events?channel=chat';
  const open = (query, ...flags) => curl(after, '-N', ...flags, events + query);
  const readers = [open(''), open('&transport=stream'), open('', '-H', 'Accept: multipart/x-mixed-replace')];
  const answers = [open('&transport=longpoll'), open('&callback=show')];
  await until('the readers', async () => await server.metric('orbited_subscriptions') === 5);
  assert.equal(JSON.parse((await ask(after, '-d', 'hello', publish)).body).subscribers, 5);
  const [sse, stream, multipart] = readers;
  await until('the messages', () => readers.every((reader) => reader.said().includes('hello')));
  const [, epoch] = /^id: ([0-9a-f]+):0\n\nid: \1:1\ndata: hello\n\n$/.exec(sse.said());
  const message = { channel: 'chat', epoch, offset: 1, sender: null, data: 'hello' };
  assert.equal(stream.said(), JSON.stringify(message) + '\n');
  assert.equal(multipart.said(), `--csp\r\nContent-Type: application/json\r\n\r\n${JSON.stringify(message)}\r\n--csp\r\n`);
  const answer = { messages: [message], since: `${epoch}:1`, recovered: false };
  assert.deepEqual(JSON.parse(await answers[0].done), answer);
  assert.equal(await answers[1].done, `/**/show(${JSON.stringify(answer)});`);
  const again = open(`&transport=longpoll&since=${answer.since}`);
  await until('the reader', async () => await server.metric('orbited_subscriptions') === 4);
  await ask(after, '-d', 'more', publish);
  assert.deepEqual(JSON.parse(await again.done), { messages: [{ ...message, offset: 2, data: 'more' }], since: `${epoch}:2`, recovered: true });
});

test('curl: what cannot be published is refused with a code, a reason and a hint', async (after) => {
  const api = `http://${(await start(after, '--max-message', '1KiB')).internal}/api/publish/`;
  const cases = [
    [400, ['-d', 'x', api + 'a//b']],
    [400, ['-d', '{"a":', '-H', 'Content-Type: application/json', api + 'chat']],
    [405, [api + 'chat']],
    [413, ['-d', 'x'.repeat(1025), api + 'chat']],
    [404, ['-d', 'x', api]],
    [403, ['-d', 'x', '-H', 'Origin: https://evil.test', api + 'chat']],
    [403, ['-d', 'x', '-H', 'Host: evil.test', api + 'chat']],
  ];
  for (const [status, args] of cases) {
    const answer = await ask(after, ...args);
    assert.equal(answer.status, status, args.join(' '));
    for (const member of ['code', 'reason', 'hint']) assert.ok(JSON.parse(answer.body)[member], `${member} for ${status}`);
  }
});

test('curl: the internal paths are not on the public port', async (after) => {
  const server = await start(after);
  for (const path of ['/api/publish/chat', '/metrics', '/healthz']) assert.equal((await ask(after, server.url + path)).status, 404, path);
  await ask(after, '-d', 'x', server.url + '/api/publish/chat');
  assert.equal(await server.metric('orbited_messages_in_total'), 0);
});

test('curl: health answers 200 while the server serves', async (after) => {
  const server = await start(after);
  for (const path of ['healthz', 'livez', 'readyz']) assert.equal((await ask(after, `http://${server.internal}/${path}`)).status, 200, path);
});

test('curl: metrics are well-formed Prometheus text and count what happens', async (after) => {
  const server = await start(after), read = () => ask(after, `http://${server.internal}/metrics`), before = await read();
  assert.equal(before.status, 200);
  assert.match(before.type, /^text\/plain; version=0\.0\.4/);
  assert.deepEqual(lint(before.body), []);
  curl(after, '-N', server.url + '/_/events?channel=chat');
  await until('the reader', () => server.metric('orbited_subscriptions'));
  await ask(after, '-d', 'hello', `http://${server.internal}/api/publish/chat`);
  assert.deepEqual(lint((await read()).body), []);
  const samples = ['orbited_channels', 'orbited_sessions{transport="sse"}', 'orbited_messages_in_total', 'orbited_messages_out_total', 'orbited_signons_total'];
  for (const sample of samples) assert.equal(await server.metric(sample), 1, sample);
});

test('curl: an echo by handshake, send and long-poll, as in the README', async (after) => {
  const base = (await start(after)).url + '/_/echo/csp', key = JSON.parse((await ask(after, '-d', '{}', base + '/handshake')).body.slice(1, -1)).session;
  assert.match(key, /^[0-9A-Za-z_-]{22,}$/);
  const held = curl(after, `${base}/comet?s=${key}&a=0`);
  assert.equal((await ask(after, '-d', '[[1,0,"hello"]]', `${base}/send?s=${key}`)).body, '("OK")');
  assert.equal(await held.done, '([[1,0,"hello"]])');
});

for (const version of ['--http1.0', '--http1.1']) {
  test(`curl ${version}: a stream brings batches as they are written and ends when its time is over`, async (after) => {
    const base = (await start(after)).url + '/_/echo/csp', key = JSON.parse((await ask(after, '-d', '{}', base + '/handshake')).body.slice(1, -1)).session;
    const stream = curl(after, version, '-N', `${base}/comet?s=${key}&a=0&is=1&du=2&bs=%0A&ps=4&p=PRE`);
    for (const id of [1, 2]) {
      await ask(after, '-d', `[[${id},0,"m${id}"]]`, `${base}/send?s=${key}`);
      await until('the batch', () => stream.said().includes(`"m${id}"`));
    }
    assert.equal(await stream.done, '    PRE([[1,0,"m1"]])\n([[2,0,"m2"]])\n([])\n');
  });
}
