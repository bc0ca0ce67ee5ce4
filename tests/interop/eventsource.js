// npm eventsource: plain channels, and a CSP session whose variables make it an event stream.
'use strict';

const { EventSource } = require('eventsource');
const { test, until, lines, assert } = require('./lib/harness.js');
const { serve, proxy } = require('./lib/server.js');

/** An open stream; `got` is the data of its events. */
async function open(after, url) {
  const source = new EventSource(url), seen = { source, got: [], opened: 0 };
  source.onopen = () => { seen.opened++; };
  source.onmessage = (event) => seen.got.push(event);
  after(() => source.close());
  await until('onopen', () => seen.opened);
  return seen;
}

async function publish(server, channel, body, type = 'text/plain') {
  const answer = await fetch(`http://${server.internal}/api/publish/${channel}`, { method: 'POST', body, headers: { 'Content-Type': type } });
  assert.equal(answer.status, 201);
  return answer.json();
}

const data = (seen) => seen.got.map((event) => event.data);

test('EventSource in node: what is published into a channel arrives in order, lines and JSON as they were', async (after) => {
  const server = await serve();
  after(server.stop);
  const seen = await open(after, server.url + '/_/events?channel=x');
  const bodies = ['hello é€', 'two\nlines', ' blank first', '', ...lines(1, 100).map((line) => line.trim())];
  for (const body of bodies) assert.equal((await publish(server, 'x', body)).subscribers, 1);
  await publish(server, 'x', '{"a": [1, "ü"]}', 'application/json');
  await until('the events', () => seen.got.length > bodies.length);
  assert.deepEqual(data(seen), [...bodies, '{"a": [1, "ü"]}']);
});

test('EventSource in node: one stream reads several channels, and no other', async (after) => {
  const server = await serve();
  after(server.stop);
  const seen = await open(after, server.url + '/_/events?channel=a/b&channel=c'), other = await open(after, server.url + '/_/events?channel=d');
  await publish(server, 'a/b', 'first');
  await publish(server, 'd', 'elsewhere');
  await publish(server, 'c', 'second');
  await until('the events', () => seen.got.length === 2 && other.got.length === 1);
  assert.deepEqual(data(seen), ['first', 'second']);
  assert.deepEqual(data(other), ['elsewhere']);
});

test('EventSource in node: one that comes back says where it stood, and is told what it missed', async (after) => {
  const server = await serve(), between = await proxy(server.port);
  after(server.stop);
  after(between.close);
  // Somebody else keeps the channels.
  await open(after, server.url + '/_/events?channel=x&channel=y');
  const seen = await open(after, between.url + '/_/events?channel=x&channel=y'), gaps = [];
  seen.source.addEventListener('gap', (event) => gaps.push(JSON.parse(event.data)));
  await publish(server, 'y', 'one');
  await until('the event', () => seen.got.length === 1);
  between.cut();
  await publish(server, 'x', 'missed');
  await until('the reconnection', () => seen.opened === 2);
  await until('the reader', async () => await server.metric('orbited_subscriptions') === 4);
  await publish(server, 'y', 'two');
  await until('the event', () => seen.got.length >= 2);
  assert.deepEqual(gaps.map(({ channel, missed }) => [channel, missed]), [['x', 1]]);
  assert.deepEqual(data(seen), ['one', 'two']);
  between.cut();
  await until('the reconnection', () => seen.opened === 3);
  await publish(server, 'x', 'three');
  await until('the event', () => data(seen).at(-1) === 'three');
  assert.equal(gaps.length, 1, 'nothing was missed');
});

test('EventSource in node: of channels that keep enough it loses and repeats nothing, however often it is cut', async (after) => {
  const server = await serve('--channel', 'x history=1000', '--channel', 'y history=1000'), between = await proxy(server.port);
  after(server.stop);
  after(between.close);
  const seen = await open(after, between.url + '/_/events?channel=x&channel=y'), gaps = [], sent = [];
  seen.source.addEventListener('gap', (event) => gaps.push(event.data));
  for (let n = 1; n <= 90; n++) {
    sent.push(`message ${n}`);
    const answer = await fetch(`http://${server.internal}/api/publish/${'xy'[n % 2]}`, { method: 'POST', body: sent.at(-1) });
    assert.ok(answer.ok);
    if (n === 20 || n === 60) {
      await until('some events', () => seen.got.length > n - 20);
      between.cut();
    }
  }
  await until('the events', () => seen.got.length >= sent.length);
  assert.deepEqual(data(seen), sent);
  assert.deepEqual(gaps, []);
  assert.equal(between.accepted, 3);
});

for (const [kind, variables] of [['held for one batch', '&du=1'], ['streaming', '&is=1&i=2']]) {
  test(`EventSource in node: a CSP session, ${kind}, that is cut twice loses and repeats nothing`, async (after) => {
    const server = await serve(), between = await proxy(server.port), base = '/_/echo/csp';
    after(server.stop);
    after(between.close);
    const { session } = JSON.parse((await (await fetch(`${server.url}${base}/handshake?d={}`)).text()).slice(1, -1));
    const seen = await open(after, `${between.url}${base}/comet?s=${session}&a=0&se=1&bp=data%3A%20&bs=%0D%0A&ct=text%2Fevent-stream${variables}`);
    const packets = () => data(seen).flatMap((text) => JSON.parse(text.slice(1, -1)));
    for (let id = 1; id <= 90; id++) {
      const answer = await fetch(`${server.url}${base}/send?s=${session}`, { method: 'POST', body: JSON.stringify([[id, 0, `line ${id}`]]) });
      assert.equal(await answer.text(), '("OK")');
      if (id % 30 === 0 && id < 90) {
        await until('some packets', () => packets().length >= id - 29);
        between.cut();
      }
    }
    await until('the packets', () => packets().length >= 90);
    assert.deepEqual(packets(), lines(1, 90).map((line, i) => [i + 1, 0, line.trim()]));
    assert.ok(between.accepted >= 3);
    assert.equal(seen.got.at(-1).lastEventId, '90');
  });
}
