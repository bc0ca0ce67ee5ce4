// CSP.js where the network lets only some transports through, and where a server asks for time. Through a proxy of
// its own; times are printed, not judged.
'use strict';

const net = require('node:net');
const http = require('node:http');
const { test, until, assert } = require('./lib/harness.js');
const { serve, top } = require('./lib/server.js');
const { store } = require('./lib/page.js');

globalThis.WebSocket ||= class extends require('ws') {
  constructor(url) { super(url).on('error', () => {}); }
};
globalThis.EventSource ||= require('eventsource').EventSource;
const { CometSession } = require(top + '/static/CSP.min.js');

/** A proxy to `port` that does what its `faults` say: refuse, strip or swallow upgrades; buffer streams. */
async function proxy(after, port, faults) {
  const listener = net.createServer((client) => {
    const server = net.connect(port, '127.0.0.1'), held = [];
    let buffers = false;
    client.on('error', () => server.destroy()).on('close', () => server.destroy());
    server.on('error', () => client.destroy());
    client.on('data', (bytes) => {
      let text = bytes.toString('latin1');
      buffers = faults.buffer && /[?&]is=1/.test(text);
      if (/^upgrade: websocket/im.test(text)) {
        if (faults.swallow) return;
        if (faults.refuse) return client.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
        if (faults.strip) text = text.replace(/^(upgrade|connection): .*\r\n/gim, '');
      }
      server.write(text, 'latin1');
    });
    server.on('data', (bytes) => (buffers ? held.push(bytes) : client.write(bytes)));
    server.on('end', () => { held.forEach((bytes) => client.write(bytes)); client.end(); });
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  after(() => listener.close());
  return `http://127.0.0.1:${listener.address().port}`;
}

/** A session that says hello; resolves when that came back. */
async function hello(after, url, options, text = 'hello') {
  const session = new CometSession(), seen = { session, got: '', opened: 0, reason: '' }, begun = Date.now();
  session.onopen = () => { seen.opened++; };
  session.onread = (piece) => { seen.got += piece; };
  session.onclose = (reason) => { seen.reason = reason; };
  after(() => session.close());
  session.connect(url + '/_/echo/csp', options);
  session.write(text);
  await until('the echo', () => seen.got.includes(text));
  console.log(`       the first echo after ${Date.now() - begun} ms, over ${session.transport}`);
  return seen;
}

const CASES = [
  ['nothing in between', {}, 'websocket'],
  ['upgrades refused', { refuse: true }, 'sse'],
  ['the Upgrade field stripped', { strip: true }, 'sse'],
  ['upgrades swallowed', { swallow: true }, 'sse'],
  ['streams buffered', { buffer: true }, 'websocket'],
  ['upgrades refused and streams buffered', { refuse: true, buffer: true }, 'longpoll'],
  ['upgrades swallowed and streams buffered', { swallow: true, buffer: true }, 'longpoll'],
];

for (const [what, faults, transport] of CASES) {
  test(`CSP.js with ${what} comes to ${transport}`, async (after) => {
    const server = await serve();
    after(server.stop);
    const { session } = await hello(after, await proxy(after, server.port, faults));
    await until(transport, () => session.transport === transport);
    assert.deepEqual({ lost: session.stats.lost, repeated: session.stats.repeated }, { lost: 0, repeated: 0 });
  });
}

test('CSP.js begins with the transport that worked before', async (after) => {
  const server = await serve();
  after(server.stop);
  const faults = { refuse: true, buffer: true }, url = await proxy(after, server.port, faults), kept = store(after, 'localStorage');
  const first = await hello(after, url);
  await until('it to be kept', () => [...kept.values()].includes('longpoll'));
  first.session.close();
  const names = [], second = new CometSession();
  after(() => second.close());
  second.ontransport = (name) => names.push(name);
  second.connect(url + '/_/echo/csp');
  await until('a transport', () => names.length);
  assert.equal(names[0], 'longpoll');
});

test('CSP.js moves to a better transport once that is let through, whatever carries meanwhile', async (after) => {
  const server = await serve();
  after(server.stop);
  const faults = { refuse: true, buffer: true }, { session } = await hello(after, await proxy(after, server.port, faults));
  assert.equal(session.transport, 'longpoll');
  faults.refuse = false;
  const talk = setInterval(() => session.write('.'), 500);
  after(() => clearInterval(talk));
  await until('the websocket', () => session.transport === 'websocket');
});

for (const [form, asked] of [['seconds', () => '2'], ['a date', () => new Date(Date.now() + 3000).toUTCString()]]) {
  test(`CSP.js comes back no sooner than a server that is full asks, in ${form}`, async (after) => {
    const came = [];
    const busy = http.createServer((request, response) => {
      came.push(Date.now());
      response.writeHead(503, { 'Retry-After': asked(), 'Access-Control-Allow-Origin': '*' }).end('{}');
    });
    await new Promise((resolve) => busy.listen(0, '127.0.0.1', resolve));
    after(() => busy.close());
    const session = new CometSession();
    after(() => session.close());
    session.connect(`http://127.0.0.1:${busy.address().port}/_/echo/csp`);
    await until('a second request', () => came.length > 1);
    // A timer never fires early; how late it is is not judged.
    assert.ok(came[1] - came[0] >= 1990, `${came[1] - came[0]} ms`);
  });
}
