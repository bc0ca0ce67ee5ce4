// Our own CSP.js and Revolved.js in node, over every transport that node can be given, changing it in mid-stream.
'use strict';

// In a browser an error of a WebSocket is only an event.
globalThis.WebSocket ||= class extends require('ws') {
  constructor(url) { super(url).on('error', () => {}); }
};
globalThis.EventSource ||= require('eventsource').EventSource;

const net = require('node:net');
const { test, until, lines, assert } = require('./lib/harness.js');
const { serve, proxy, top } = require('./lib/server.js');
const { store, events } = require('./lib/page.js');
const { CometSession } = require(top + '/static/CSP.js');
const Revolved = require(top + '/static/Revolved.js');

const TRANSPORTS = ['websocket', 'sse', 'stream', 'longpoll'];

async function connect(after, url, options) {
  const session = new CometSession(), seen = { session, got: '', reason: null, opened: false };
  session.onopen = () => { seen.opened = true; };
  session.onread = (text) => { seen.got += text; };
  session.onclose = (reason) => { seen.reason = reason; };
  session.connect(url + '/_/echo/csp', options);
  after(() => session.close());
  await until('onopen', () => seen.opened);
  return seen;
}

async function start(after, ...flags) {
  const server = await serve(...flags);
  after(server.stop);
  return server;
}

for (const transport of TRANSPORTS) {
  test(`CSP.js in node over ${transport}: 200 lines come back in order, and closing is clean`, async (after) => {
    const server = await start(after), seen = await connect(after, server.url, { transports: [transport] }), all = lines(1, 200);
    await until('the transport', () => seen.session.transport === transport);
    all.forEach((line) => seen.session.write(line + 'é€😀'));
    await until('the echo', () => seen.got.length >= all.join('é€😀').length + 4);
    assert.equal(seen.got, all.map((line) => line + 'é€😀').join(''));
    seen.session.close();
    assert.equal(await until('onclose', () => seen.reason), 'clean');
    assert.equal(seen.session.stats.repeated, 0);
    await until('the signoff', () => server.metric('orbited_signoffs_total{reason="clean"}'));
  });
}

test('CSP.js in node: moving through every transport under load, with cuts between, loses nothing', async (after) => {
  const between = await proxy((await start(after)).port);
  after(between.close);
  const seen = await connect(after, between.url, { transports: ['websocket'] }), all = lines(1, 800), moves = ['sse', 'stream', 'longpoll', 'websocket'];
  await until('the first transport', () => seen.session.transport);
  for (let at = 0; at < all.length; at += 100) {
    all.slice(at, at + 100).forEach((line) => seen.session.write(line));
    if (at % 200 === 0) {
      const to = moves[at / 200];
      seen.session.switchTo([to]);
      await until(`the move to ${to}`, () => seen.session.transport === to);
    } else between.cut();
    await until('some of the echo', () => seen.got.length > all.slice(0, at).join('').length);
  }
  await until('the echo', () => seen.got.length >= all.join('').length);
  assert.equal(seen.got, all.join(''));
  assert.equal(seen.session.stats.lost, 0);
  assert.ok(seen.session.stats.switches >= 4);
});

for (const transport of TRANSPORTS) {
  test(`CSP.js in node over ${transport}: a session that the server has forgotten ends, however short its requests are`, async (after) => {
    const server = await start(after, '--session-timeout', '1s'), between = await proxy(server.port);
    after(between.close);
    const seen = await connect(after, between.url, { transports: [transport], duration: 1 });
    await until('the transport', () => seen.session.transport === transport);
    between.target = 0;
    between.cut();
    await until('the server to forget', () => server.metric('orbited_signoffs_total{reason="timeout"}'));
    between.target = server.port;
    assert.equal(await until('onclose', () => seen.reason), 'expired');
  });
}

test('CSP.js in node: 200,000 characters come back whole', async (after) => {
  const seen = await connect(after, (await start(after)).url, {}), long = 'é012345678'.repeat(20000);
  seen.session.write(long);
  await until('the echo', () => seen.got.length >= long.length);
  assert.ok(seen.got === long);
});

test('CSP.js in node: every byte comes back as it was', async (after) => {
  const server = await start(after), session = new CometSession(), got = [], bytes = Array.from({ length: 5000 }, (_, i) => i * 7 & 255);
  session.onread = (data) => got.push(...data);
  session.connect(server.url + '/_/echo/csp', { binary: true });
  after(() => session.close());
  session.write(Uint8Array.from(bytes));
  await until('the echo', () => got.length >= bytes.length);
  assert.deepEqual(got, bytes);
});

/** A page with a session that has said `before`; then it is left, and kept for the way back. */
async function leave(after, happens, url) {
  const seen = await connect(after, url, { resume: 'tab', transports: ['sse'] });
  seen.session.write('before ');
  await until('the echo', () => seen.got === 'before ');
  seen.opened = false;
  happens('pagehide');
  return seen;
}

test('CSP.js in node: a page kept for the way back goes on with its session when no other page has taken it', async (after) => {
  const server = await start(after), happens = events(after);
  store(after, 'sessionStorage');
  const seen = await leave(after, happens, server.url);
  happens('pageshow');
  seen.session.write('after');
  await until('the echo', () => seen.got === 'before after');
  assert.deepEqual([seen.opened, seen.reason, await server.metric('orbited_signons_total')], [false, null, 1]);
});

test('CSP.js in node: a page kept for the way back begins anew when another page has its session, and both go on', async (after) => {
  const server = await start(after), happens = events(after);
  store(after, 'sessionStorage');
  const first = await leave(after, happens, server.url), next = await connect(after, server.url, { resume: 'tab', transports: ['sse'] });
  assert.equal(next.session.resumed, true);
  happens('pageshow');
  await until('onopen again', () => first.opened);
  assert.deepEqual([first.session.resumed, first.reason], [false, null]);
  for (const seen of [first, next]) {
    seen.got = '';
    seen.session.write('after');
    await until('the echo', () => seen.got === 'after');
  }
  assert.equal(await server.metric('orbited_signons_total'), 2);
});

test('CSP.js in node: a page that closed its session while it was left stays closed when it comes back', async (after) => {
  const server = await start(after), happens = events(after), kept = store(after, 'sessionStorage'), seen = await leave(after, happens, server.url);
  seen.session.close();
  kept.clear();
  happens('pageshow');
  assert.equal(seen.reason, 'clean');
});

async function member(after, url, user, channel) {
  const r = new Revolved({ url, transports: [TRANSPORTS[user.length % TRANSPORTS.length]] }), got = [];
  after(() => r.disconnect());
  r.onreceive = (sender, payload) => got.push(['SEND', sender, payload]);
  assert.equal(await r.connect(user), user);
  await r.subscribe(channel, (payload, sender, { offset }) => got.push([offset, sender, payload]));
  return { r, got };
}

test('Revolved.js in node: what one publishes all get, the publisher too, in one order', async (after) => {
  const { url } = await start(after), [ann, bob, cyd] = await Promise.all(['ann', 'bobby', 'cydney'].map((user) => member(after, url, user, 'room')));
  await Promise.all(Array.from({ length: 50 }, (_, n) => [ann, bob][n % 2].r.publish('room', { n, text: 'é' })));
  for (const { got } of [ann, bob, cyd]) await until('50 messages', () => got.length >= 50);
  assert.deepEqual(ann.got, bob.got);
  assert.deepEqual(bob.got, cyd.got);
  assert.deepEqual(ann.got.map(([offset]) => offset), Array.from({ length: 50 }, (_, n) => n + 1));
  assert.deepEqual(new Set(ann.got.map(([, sender]) => sender)), new Set(['ann', 'bobby']));
});

test('Revolved.js in node: a peer gets what is sent to it, and who is absent is an error', async (after) => {
  const { url } = await start(after), ann = await member(after, url, 'ann', 'a'), bob = await member(after, url, 'bob', 'b');
  assert.deepEqual(await ann.r.send('bob', { hi: 1 }), { sessions: 1 });
  await until('the message', () => bob.got.length);
  assert.deepEqual(bob.got, [['SEND', 'ann', { hi: 1 }]]);
  await assert.rejects(ann.r.send('nobody', 1), { name: 'RevolvedError' });
});

test('Revolved.js in node: when another server takes the place of the first, the client is back in its channel', async (after) => {
  const [old, fresh] = [await start(after), await start(after)], between = await proxy(old.port), ann = await member(after, between.url, 'ann', 'room');
  after(between.close);
  await ann.r.publish('room', 'before');
  await until('the message', () => ann.got.length === 1);
  between.target = fresh.port;
  between.cut();
  const bob = await member(after, fresh.url, 'bob', 'room');
  await until('ann hears bob', async () => (await bob.r.publish('room', 'after')) && ann.got.some(([, , payload]) => payload === 'after'));
  assert.equal(ann.r.user, 'ann');
  assert.deepEqual(ann.got.filter(([, , payload]) => payload === 'before').length, 1);
});

for (const transport of ['sse', 'stream', 'websocket']) {
  test(`Revolved.js in node over ${transport}: more than a queue holds comes through to who reads it`, async (after) => {
    const server = await start(after, '--max-queue', '256KiB'), r = new Revolved({ url: server.url, transports: [transport] });
    after(() => r.disconnect());
    let got = 0;
    await r.connect('ann');
    await r.subscribe('room', () => { got++; });
    for (let n = 1; n <= 60; n++) {
      await fetch(`http://${server.internal}/api/publish/room`, { method: 'POST', body: 'x'.repeat(10000) });
      await until(`message ${n - 5}`, () => got >= n - 5);
    }
    await until('all of them', () => got === 60);
    assert.equal(await server.metric('orbited_signoffs_total{reason="overflow"}'), 0);
  });
}

for (const transport of TRANSPORTS) {
  test(`Revolved.js in node over ${transport}: who is kicked is told so and stays away, until he asks himself`, async (after) => {
    const server = await start(after), r = new Revolved({ url: server.url, transports: [transport] }), closed = [];
    after(() => r.disconnect());
    r.onclose = (...args) => closed.push(args);
    await r.connect('ann');
    await until('the transport', () => r.csp.transport === transport);
    assert.deepEqual(await (await fetch(`http://${server.internal}/api/kick/ann`, { method: 'POST' })).json(), { sessions: 1 });
    await until('onclose', () => closed.length);
    assert.deepEqual(closed.map(([reason, again]) => [reason, again]), [['kicked', false]]);
    assert.equal(await r.connect('ann'), 'ann');
    assert.equal(await server.metric('orbited_signons_total'), 2);
  });
}

for (const transport of TRANSPORTS) {
  for (const policy of ['drop-oldest', 'latest']) {
    test(`Revolved.js in node over ${transport}: what ${policy} drops is told by ongap, and the last comes`, async (after) => {
      const server = await start(after, '--max-queue', '64KiB', '--max-message', '32KiB', '--channel', `room slow=${policy}`);
      const r = new Revolved({ url: server.url, transports: [transport] }), got = [];
      after(() => r.disconnect());
      let missed = 0, gaps = 0;
      r.ongap = (channel, info) => { gaps++; missed += info.missed; got.push(['gap', channel]); };
      await r.connect('ann');
      await until('the transport', () => r.csp.transport === transport);
      await r.subscribe('room', (payload, sender, { offset }) => got.push([offset, missed]));
      // All of them in one write, so that the server has them in a turn or a few.
      const body = 'x'.repeat(2000), socket = net.connect(server.internal.split(':').pop(), '127.0.0.1');
      socket.on('error', () => {}).resume().end(`POST /api/publish/room HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000\r\n\r\n${body}`.repeat(300));
      const messages = () => got.filter(([kind]) => kind !== 'gap');
      await until('all of them', () => messages().length + missed === 300);
      assert.equal(messages().pop()[0], 300);
      assert.ok(missed > 0 && gaps > 0);
      // Each offset is what was got and what was missed before it, with it.
      messages().forEach(([offset, before], at) => assert.equal(offset, at + 1 + before));
      assert.equal(await server.metric('orbited_dropped_total'), missed);
      assert.equal(await server.metric('orbited_signoffs_total{reason="overflow"}'), 0);
    });
  }
}
