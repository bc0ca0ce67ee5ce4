// npm's @stomp/stompjs over our WebSocket, in each version, with its large frames cut over messages.
'use strict';

const { test, until, assert } = require('./lib/harness.js');
const { serve, top } = require('./lib/server.js');
const { Client, Versions } = require('@stomp/stompjs');
const WebSocket = require('ws');
const Revolved = require(top + '/static/Revolved.js');

const numbers = (count) => Array.from({ length: count }, (_, n) => n);

async function start(after, ...flags) {
  const server = await serve(...flags);
  after(server.stop);
  return server;
}

/** A client that is connected; what it was sent as errors, and how its sockets were closed, stand in lists. */
async function connect(after, server, options = {}) {
  const client = new Client({
    brokerURL: `ws://${server.address}/_/stomp`, webSocketFactory: () => new WebSocket(client.brokerURL, client.stompVersions.protocolVersions()),
    splitLargeFrames: true, reconnectDelay: 0, ...options,
  });
  Object.assign(client, { errors: [], closes: [], unhandled: [] });
  client.onStompError = (frame) => client.errors.push(frame);
  client.onWebSocketClose = (event) => client.closes.push(event.code);
  client.onUnhandledMessage = (message) => client.unhandled.push(message);
  await new Promise((resolve) => { client.onConnect = resolve; client.activate(); });
  after(() => client.deactivate());
  return client;
}

const receipt = (client, run) => new Promise((resolve) => {
  const name = `r${Math.random()}`;
  client.watchForReceipt(name, resolve);
  run({ receipt: name });
});

for (const version of [Versions.V1_2, Versions.V1_1, Versions.V1_0]) {
  test(`stompjs ${version}: 1,000 messages each way come in order, large ones and small`, async (after) => {
    const server = await start(after, '--max-queue', '8MiB'), stompVersions = new Versions([version]);
    const client = await connect(after, server, { stompVersions }), got = [];
    assert.equal(client.connectedVersion, version);
    await receipt(client, (headers) => client.subscribe('/topic/chat/room1', (message) => got.push(message), headers));
    const text = (n) => `${n} é\u2028 ${'x'.repeat(n % 100 === 0 ? 30000 : 10)}`;
    for (const n of numbers(1000)) client.publish({ destination: '/topic/chat/room1', body: text(n), headers: { n: String(n), receipt: `leak${n}` } });
    await until('all of them', () => got.length >= 1000);
    assert.deepEqual(got.map((message) => message.body), numbers(1000).map(text));
    assert.deepEqual(got.map((message) => message.headers.n), numbers(1000).map(String));
    assert.ok(got.every((message) => message.headers.receipt === undefined));
    await client.deactivate();
    assert.deepEqual([client.closes, client.errors], [[1000], []]);
    await until('nothing is left', async () => await server.metric('orbited_sessions') + await server.metric('orbited_queue_bytes') === 0);
  });
}

test('stompjs 1.2: headers, binary bodies and JSON come as they were sent, to it and to clients of Revolved', async (after) => {
  const server = await start(after), client = await connect(after, server), got = [], theirs = [];
  const other = new Revolved({ url: server.url });
  after(() => other.disconnect());
  other.connect();
  await other.subscribe('a', (payload) => theirs.push(payload));
  client.subscribe('/topic/a', (message) => got.push(message));
  const headers = { plain: 'v', odd: 'a:b\\ c\nd', 'content-type': 'application/json' };
  client.publish({ destination: '/topic/a', body: '{"n": 1}', headers });
  client.publish({ destination: '/topic/a', binaryBody: Uint8Array.of(0, 255, 0), headers: { 'content-type': 'image/x' } });
  client.publish({ destination: '/topic/a', body: 'text' });
  await other.publish('a', { from: 'revolved' });
  await until('all four', () => got.length === 4 && theirs.length === 4);
  assert.deepEqual([got[0].headers.plain, got[0].headers.odd, got[0].headers['content-type']], ['v', headers.odd, 'application/json']);
  assert.deepEqual([...got[1].binaryBody], [0, 255, 0]);
  assert.deepEqual(got.map((message) => message.body).filter((_, n) => n !== 1), ['{"n": 1}', 'text', '{"from":"revolved"}']);
  assert.deepEqual(theirs, [{ n: 1 }, { base64: 'AP8A', type: 'image/x' }, 'text', { from: 'revolved' }]);
});

test('stompjs 1.2: messages are acknowledged or refused, transactions happen or do not', async (after) => {
  const server = await start(after), client = await connect(after, server), got = [];
  client.subscribe('/topic/a', (message) => { got.push(message.body); message.body === '1' ? message.nack() : message.ack(); }, { ack: 'client-individual' });
  const kept = client.begin(), dropped = client.begin();
  for (const body of ['1', '2']) client.publish({ destination: '/topic/a', body, headers: { transaction: kept.id } });
  client.publish({ destination: '/topic/a', body: 'never', headers: { transaction: dropped.id } });
  dropped.abort();
  client.publish({ destination: '/topic/a', body: '0' });
  kept.commit();
  await until('those that happened', () => got.length === 3);
  assert.deepEqual(got, ['0', '1', '2']);
  await client.deactivate();
  await until('it is gone', async () => await server.metric('orbited_sessions') === 0);
  assert.equal(await server.metric('orbited_undelivered_total'), 0);
});

test('stompjs 1.2: it hears the heart of the server, and an error closes', async (after) => {
  const server = await start(after), said = [];
  const client = await connect(after, server, { heartbeatIncoming: 1000, heartbeatOutgoing: 1000, logRawCommunication: true, debug: (line) => said.push(line) });
  await until('beats', () => said.filter((line) => /PONG/.test(line)).length >= 2);
  client.publish({ destination: '/queue/none', body: 'x' });
  await until('the error', () => client.errors.length === 1 && client.closes.length === 1);
  assert.match(client.errors[0].headers.message, /^unknown destination; there are \/topic\/CHANNEL/);
});

test('stompjs 1.2: messages to a user come, subscribed to or not', async (after) => {
  const server = await start(after), ann = await connect(after, server, { connectHeaders: { login: 'ann', passcode: 'x' } });
  const bob = await connect(after, server, { connectHeaders: { login: 'bob' } }), got = [];
  bob.publish({ destination: '/user/ann', body: 'first' });
  await until('the first', () => ann.unhandled.length === 1);
  await receipt(ann, (headers) => ann.subscribe('/user/queue/inbox', (message) => got.push(message), headers));
  bob.publish({ destination: '/user/ann', body: 'second' });
  await until('the second', () => got.length === 1);
  assert.deepEqual([ann.unhandled[0].body, got[0].body, got[0].headers['orbit-sender']], ['first', 'second', 'bob']);
});

test('stompjs 1.2: it is the application by a key, and by nothing else', async (after) => {
  const key = 'a-key-of-the-application', server = await start(after, '--api-key', key), got = [];
  const app = await connect(after, server, { connectHeaders: { login: 'app', passcode: key } });
  await receipt(app, (headers) => app.subscribe('/orbit/*', (message) => { got.push(message); message.ack(); }, { ...headers, ack: 'client-individual' }));
  const other = await connect(after, server);
  await until('its beginning', () => got.length === 1);
  assert.deepEqual([got[0].headers['orbit-event'], JSON.parse(got[0].body).service], ['signon', 'stomp']);
  const { session } = got[0].headers, frame = await receipt(app, (headers) => app.publish({ destination: `/session/${session}`, body: 'hi', headers }));
  assert.equal(frame.headers['orbit-recipients'], '1');
  await until('the message', () => other.unhandled.length === 1);
  const replies = [];
  app.onUnhandledMessage = (message) => replies.push(message);
  app.publish({ destination: '/orbit/control/kick', body: JSON.stringify({ session }), headers: { 'reply-to': '/temp-queue/r', 'correlation-id': 'c' } });
  await until('the answer and the end', () => replies.length === 1 && got.length === 2 && other.closes.length === 1);
  assert.deepEqual([replies[0].headers['correlation-id'], replies[0].body], ['c', '{"sessions":1}\n']);
  assert.deepEqual([got[1].headers['orbit-event'], JSON.parse(got[1].body).reason], ['signoff', 'kicked']);
  const page = new Client({ brokerURL: `ws://${server.address}/_/stomp`, webSocketFactory: () => new WebSocket(page.brokerURL), reconnectDelay: 0, connectHeaders: { passcode: key + 'x', 'orbit-role': 'app' } });
  const refused = new Promise((resolve) => { page.onStompError = resolve; });
  page.activate();
  after(() => page.deactivate());
  assert.equal((await refused).headers.message, 'login or passcode are wrong');
});
