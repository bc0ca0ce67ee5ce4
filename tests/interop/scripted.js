// CSP.js and Revolved.js against a server that plays a part: how long they wait, and what they do when a session ends.
'use strict';

globalThis.WebSocket ||= class extends require('ws') {
  constructor(url) { super(url).on('error', () => {}); }
};

const { test, until, assert } = require('./lib/harness.js');
const { fake } = require('./lib/fake.js');
const { events } = require('./lib/page.js');
const { top } = require('./lib/server.js');
const { CometSession } = globalThis.CSP = require(top + '/static/CSP.min.js');
const Revolved = require(top + '/static/Revolved.js');

/** A session, and what became of it. */
function begin(after, url, options) {
  const session = new CometSession(), seen = { session, opened: 0, reason: null };
  session.onopen = () => { seen.opened++; };
  session.onclose = (reason) => { seen.reason = reason; };
  session.connect(url + '/_/echo/csp', options);
  after(() => session.close());
  return seen;
}

// How long it waits: beside the same session with the times it has by itself, which are far longer.

/** Two sessions with a server each that plays the same part: one with these timeouts, one with its own. */
async function race(after, play, timeouts, options) {
  const servers = [await fake(after, play()), await fake(after, play())];
  const [hasty, patient] = servers.map(({ url }, n) => begin(after, url, { ...options, timeouts: n ? undefined : timeouts }));
  return { hasty, patient, counts: servers.map((server) => server.counts) };
}

test('CSP.js: timeouts.request is how long a silent server has', async (after) => {
  const { hasty, patient } = await race(after, () => ({ handshake() {} }), { request: 100 });
  assert.equal(await until('onclose', () => hasty.reason), 'unreachable');
  assert.equal(patient.reason, null);
});

test('CSP.js: timeouts.backoff is how it waits between attempts', async (after) => {
  const busy = (response) => response.writeHead(503).end();
  const { counts: [hasty, patient] } = await race(after, () => ({ handshake: busy }), { backoff: [5, 10] });
  await until('30 attempts', () => hasty.handshake >= 30);
  assert.ok(patient.handshake < 20, `${patient.handshake}`);
});

test('CSP.js: timeouts.open is how long a downstream may take to open', async (after) => {
  const { counts: [hasty, patient] } = await race(after, () => ({ upgrade() {} }), { open: 100 }, { transports: ['websocket'] });
  await until('3 attempts', () => hasty.upgrade >= 3);
  assert.equal(patient.upgrade, 1);
});

test('CSP.js: timeouts.goodbye is how long close() waits', async (after) => {
  const { hasty, patient } = await race(after, () => ({ send() {} }), { goodbye: 1 }, { transports: ['longpoll'] });
  await until('onopen', () => hasty.opened && patient.opened);
  hasty.session.close();
  patient.session.close();
  assert.equal(await until('onclose', () => hasty.reason), 'clean');
  assert.equal(patient.reason, null);
});

test('CSP.js: timeouts.better is how long it waits before it looks for a better transport', async (after) => {
  const refuse = (request, socket) => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
  const { counts: [hasty, patient] } = await race(after, () => ({ upgrade: refuse }), { better: [10, 20] }, { transports: ['websocket', 'longpoll'] });
  await until('5 attempts', () => hasty.upgrade >= 5);
  assert.ok(patient.upgrade <= 2, `${patient.upgrade}`);
});

test('CSP.js: timeouts.check is how long a WebSocket may be silent when the page wakes', async (after) => {
  const happens = events(after);
  const { hasty, patient, counts } = await race(after, () => ({ socket() {} }), { check: 50 }, { transports: ['websocket'] });
  await until('the sockets', () => hasty.session.transport && patient.session.transport);
  happens('online');
  await until('another socket', () => counts[0].upgrade === 2);
  assert.equal(counts[1].upgrade, 1);
});

// How a session ends, and what Revolved.js does then.

/** Revolved.js at a server; what it said of ends and beginnings. */
async function revolve(after, url, transport) {
  const r = new Revolved({ url, transports: [transport] }), seen = { r, opened: [], closed: [] };
  r.onopen = (user, again) => seen.opened.push(again);
  r.onclose = (...args) => seen.closed.push(args);
  after(() => r.disconnect());
  await r.connect();
  return seen;
}

/** It is not about to come back by itself: then connect() would be one too many. */
async function staysAway({ r, opened }, server) {
  assert.equal(server.counts.handshake, 1);
  await r.connect();
  assert.deepEqual(opened, [false, true]);
  assert.equal(server.counts.handshake, 2);
}

const comesBack = async ({ opened }) => assert.deepEqual(await until('a new session', () => opened.length > 1 && opened), [false, true]);

const ENDS = [
  [1008, 'refused', staysAway], [1009, 'too-big', comesBack], [4401, 'token', staysAway], [4403, 'kicked', staysAway],
  [4404, 'expired', comesBack], [4408, 'timeout', comesBack], [4413, 'overflow', comesBack],
];

for (const [code, reason, then] of ENDS) {
  test(`Revolved.js told ${code} on a WebSocket: ${reason}, and it ${then === comesBack ? 'comes back' : 'stays away'}`, async (after) => {
    const server = await fake(after, { socket: (socket) => server.counts.upgrade === 1 && socket.close(code, 'words') });
    const seen = await revolve(after, server.url, 'websocket');
    await until('onclose', () => seen.closed.length);
    assert.deepEqual(seen.closed, [[reason, then === comesBack, 'words']]);
    await then(seen, server);
  });
}

for (const code of [1001, 4409, 1006]) {
  test(`CSP.js told ${code}: the session goes on`, async (after) => {
    const play = (socket) => {
      if (server.counts.upgrade > 1) socket.send('[[1,0,"on"]]'); else if (code === 1006) socket.terminate(); else socket.close(code);
    };
    const server = await fake(after, { socket: play }), seen = begin(after, server.url, { transports: ['websocket'] });
    await until('what is sent afterwards', () => seen.session.stats.received === 1);
    assert.deepEqual([seen.reason, server.counts.handshake], [null, 1]);
  });
}

/** A server that says goodbye over the first long-poll, then ends the session politely. */
async function goodbye(after, ...args) {
  const packets = [[1, 0, JSON.stringify(['BYE', args]) + '\n'], [2, 0, null]];
  const server = await fake(after, { comet: (response) => server.counts.handshake === 1 && server.say(response, packets) });
  const seen = await revolve(after, server.url, 'longpoll'), byes = [];
  seen.r.onbye = (...said) => byes.push(said);
  await until('onclose', () => seen.closed.length);
  assert.deepEqual(byes, [args]);
  return { server, seen };
}

test('Revolved.js kicked over long-polls: it says so, and stays away', async (after) => {
  const { server, seen } = await goodbye(after, 4403, 'kicked', { reconnect: false, after_ms: 0 });
  assert.deepEqual(seen.closed, [['kicked', false, 'kicked']]);
  await staysAway(seen, server);
});

test('Revolved.js told not to come back: it stays away, whatever the code', async (after) => {
  const { server, seen } = await goodbye(after, 1001, 'the server stops', { reconnect: false });
  assert.deepEqual(seen.closed, [['clean', false, '']]);
  await staysAway(seen, server);
});

test('Revolved.js told to come back later: no sooner than that', async (after) => {
  const begun = Date.now(), { seen } = await goodbye(after, 1001, 'the server stops', { reconnect: true, after_ms: 1500 });
  assert.deepEqual(seen.closed, [['clean', true, '']]);
  await comesBack(seen);
  // A timer never fires early; how late it is is not judged.
  assert.ok(Date.now() - begun >= 1500, `${Date.now() - begun} ms`);
});

test('Revolved.js kicked before it was signed in: connect() is rejected', async (after) => {
  const server = await fake(after, { socket: (socket) => socket.close(4403, 'not you') }), r = new Revolved({ url: server.url, transports: ['websocket'] });
  await assert.rejects(r.connect('ann'), { code: 'kicked', message: 'not you' });
  await assert.rejects(r.publish('room', 1), { code: 'closed' });
  assert.equal(server.counts.handshake, 1);
});
