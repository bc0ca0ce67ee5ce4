// CSP.js and Revolved.js against a server that plays a part: how long they wait, and what they do when a session ends.
'use strict';

globalThis.WebSocket ||= class extends require('ws') {
  constructor(url) { super(url).on('error', () => {}); }
};

const { test, until, assert } = require('./lib/harness.js');
const { fake } = require('./lib/fake.js');
const { top } = require('./lib/server.js');
const { CometSession } = require(top + '/static/CSP.min.js');

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
  const page = new EventTarget(), verbs = ['addEventListener', 'removeEventListener'];
  for (const verb of verbs) globalThis[verb] = page[verb].bind(page);
  after(() => verbs.forEach((verb) => delete globalThis[verb]));
  const { hasty, patient, counts } = await race(after, () => ({ socket() {} }), { check: 50 }, { transports: ['websocket'] });
  await until('the sockets', () => hasty.session.transport && patient.session.transport);
  page.dispatchEvent(new Event('online'));
  await until('another socket', () => counts[0].upgrade === 2);
  assert.equal(counts[1].upgrade, 1);
});
