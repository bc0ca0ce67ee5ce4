// The clients of CometD and Faye, over each transport that node can be given, beside our own on the same channels.
'use strict';

// In a browser an error of a WebSocket is only an event.
globalThis.WebSocket ||= class extends require('ws') {
  constructor(url) { super(url).on('error', () => {}); }
};
globalThis.EventSource ||= require('eventsource').EventSource;

const { test, until, assert } = require('./lib/harness.js');
const { serve, proxy, top } = require('./lib/server.js');
const { chaos } = require('./lib/chaos.js');
const { connect, reply, faye, page } = require('./lib/bayeux.js');
const { token, TOKENS } = require('./lib/token.js');
const Revolved = require(top + '/static/Revolved.js');

const TRANSPORTS = ['long-polling', 'websocket'];
const numbers = (first, last) => Array.from({ length: last - first + 1 }, (_, n) => first + n);

async function start(after, ...flags) {
  const server = await serve(...flags);
  after(server.stop);
  return server;
}

const publish = (server, channel, value) => fetch(`http://${server.internal}/api/publish/${channel}`, {
  method: 'POST', body: JSON.stringify(value), headers: { 'Content-Type': 'application/json' },
});

for (const transport of TRANSPORTS) {
  test(`cometd over ${transport}: a token in ext lets in, and the next one is given when it has expired`, async (after) => {
    const server = await start(after, ...TOKENS, '--token-leeway', '0s'), got = [];
    const now = Date.now() / 1000, fresh = (seconds) => token({ sub: 'ann', exp: now + seconds, channels: { 'chat/*': ['subscribe', 'publish'] } });
    const tokens = [fresh(3), fresh(3600)];
    let shakes = 0;
    const shows = { outgoing: (message) => {
      if (message.channel === '/meta/handshake') message.ext = { ...message.ext, authentication: { token: tokens[Math.min(shakes++, 1)] } };
      return message;
    } };
    const client = await connect(after, server.url, { transport, extensions: { shows } });
    client.addListener('/meta/handshake', (message) => { if (message.successful) client.subscribe('/chat/a', (one) => got.push(one.data)); });
    assert.equal((await reply((done) => client.subscribe('/chat/a', (message) => got.push(message.data), done))).successful, true);
    assert.match((await reply((done) => client.subscribe('/other', () => {}, done))).error, /^403:/);
    assert.equal((await reply((done) => client.publish('/chat/a', 1, done))).successful, true);
    assert.match((await reply((done) => client.publish('/other', 1, done))).error, /^403:/);
    await until('its own', () => got.length === 1);
    await until('the end of the first', async () => shakes === 2 && await server.metric('orbited_signoffs_total{reason="expired"}') === 1);
    await until('the subscription anew', async () => await server.metric('orbited_subscriptions') >= 2);
    await publish(server, 'chat/a', 2);
    await until('what came then', () => got.includes(2));
  });

  test(`cometd over ${transport}: names, lists and patterns bring each message once, and unsubscribing ends that`, async (after) => {
    const server = await start(after), client = await connect(after, server.url, { transport }), got = [];
    const listen = (channel) => reply((done) => client.subscribe(channel, (message) => got.push([channel, message.channel, message.data]), done));
    assert.equal((await listen('/chat/room1')).successful, true);
    assert.equal((await listen('/chat/*')).successful, true);
    const deep = client.subscribe('/chat/**', (message) => got.push(['/chat/**', message.channel, message.data]));
    await until('the subscriptions', async () => await server.metric('orbited_subscriptions') === 3);
    await publish(server, 'chat/room1', 1);
    await publish(server, 'chat/a/b', { deep: true });
    await until('both', () => got.length === 4);
    assert.deepEqual(got.sort(), [
      ['/chat/**', '/chat/a/b', { deep: true }], ['/chat/**', '/chat/room1', 1], ['/chat/*', '/chat/room1', 1], ['/chat/room1', '/chat/room1', 1],
    ]);
    assert.equal((await reply((done) => client.unsubscribe(deep, done))).successful, true);
    assert.equal(await server.metric('orbited_subscriptions'), 2);
    for (const channel of ['/a/', '/meta/connect']) {
      assert.match((await reply((done) => client.subscribe(channel, () => {}, done))).error, /^403:/);
    }
    assert.equal((await reply((done) => client.publish('/service/x', 1, done))).successful, true);
    assert.equal((await reply((done) => client.publish('/**', 1, done))).error, '405::channel_is_a_pattern');
  });

  test(`cometd over ${transport}: 1,000 messages each way come in order, in batches and alone`, async (after) => {
    const server = await start(after), client = await connect(after, server.url, { transport }), own = [], replies = [];
    await reply((done) => client.subscribe('/own', (message) => own.push(message.data), done));
    for (let n = 1; n <= 1000;) client.batch(() => { for (const end = n + 10; n < end; n++) client.publish('/own', n, (message) => replies.push(message)); });
    await until('what it published', () => own.length >= 1000);
    assert.deepEqual(own, numbers(1, 1000));
    await until('the replies', () => replies.length === 1000);
    assert.ok(replies.every((message) => message.successful));
    own.length = 0;
    for (const n of numbers(1, 1000)) await publish(server, 'own', n);
    await until('what the application published', () => own.length >= 1000);
    assert.deepEqual(own, numbers(1, 1000));
  });

  test(`cometd over ${transport}: disconnecting is clean, and the tables are empty`, async (after) => {
    const server = await start(after), client = await connect(after, server.url, { transport });
    await reply((done) => client.subscribe('/a', () => {}, done));
    await reply((done) => client.disconnect(done));
    assert.equal(client.getStatus(), 'disconnected');
    assert.equal(await server.metric('orbited_signoffs_total{reason="clean"}'), 1);
    for (const table of ['sessions', 'subscriptions', 'channels', 'queue_bytes']) assert.equal(await server.metric('orbited_' + table), 0, table);
  });

  test(`cometd over ${transport}: another server takes its place, and the client shakes hands again`, async (after) => {
    let server = await serve();
    const between = await proxy(server.port), client = await connect(after, between.url, { transport, backoffIncrement: 100, maxBackoff: 300 }), got = [];
    after(() => server.stop());
    after(between.close);
    let shakes = 0, cuts = 0;
    client.addListener('/meta/handshake', (message) => {
      if (!message.successful) return;
      shakes++;
      client.subscribe('/a', (one) => got.push(one.data));
    });
    await reply((done) => client.subscribe('/a', (message) => got.push(message.data), done));
    between.target = null;
    await server.stop();
    between.cut();
    server = await serve();
    between.target = server.port;
    await until('a handshake', () => shakes >= 1);
    await until('the subscription', async () => await server.metric('orbited_subscriptions') === 1);
    await publish(server, 'a', 'after');
    await until('a message', () => got.includes('after'));
  });
}

for (const transport of TRANSPORTS) {
  test(`faye over ${transport}: patterns, 1,000 messages in order, and a clean end`, async (after) => {
    const server = await start(after), client = faye(after, server.url, { transport }), got = [], all = [];
    await client.subscribe('/a/*', (n) => got.push(n));
    await client.subscribe('/**', (n) => all.push(n));
    // What it says at once, Faye cuts into requests of 2,048 bytes that are on their way together, in any order.
    for (const n of numbers(1, 500)) await client.publish('/a/x', n);
    await until('what it published', () => got.length === 500);
    for (const n of numbers(501, 1000)) await publish(server, 'a/y', n);
    await until('all', () => got.length >= 1000 && all.length >= 1000);
    assert.deepEqual(got, numbers(1, 1000));
    assert.deepEqual(all, numbers(1, 1000));
    await client.disconnect();
    await until('the sign-off', () => server.metric('orbited_signoffs_total{reason="clean"}'));
  });
}

for (const [transport, origin] of [['eventsource', null], ['cross-origin-long-polling', 'http://elsewhere.example']]) {
  test(`faye in a page, by ${transport}: 600 messages in order, and a clean end`, async (after) => {
    const server = await start(after), client = page(after, server.url, origin || server.url), got = [];
    await client.subscribe('/a/*', (n) => got.push(n));
    // Of a page's requests several are on their way at once, in any order.
    for (const n of numbers(1, 100)) await client.publish('/a/x', n);
    await until('what it published', () => got.length >= 100);
    for (const n of numbers(101, 600)) await publish(server, 'a/y', n);
    await until('all', () => got.length >= 600);
    assert.deepEqual(got, numbers(1, 600));
    assert.equal(client._dispatcher.connectionType, transport);
    await client.disconnect();
    await until('the sign-off', () => server.metric('orbited_signoffs_total{reason="clean"}'));
  });
}

for (const transport of TRANSPORTS) {
  test(`cometd over ${transport}: its extensions for clocks and for bytes, and replay as Salesforce has it`, async (after) => {
    const { TimeSyncExtension } = await import('cometd/TimeSyncExtension.js'), { TimeStampExtension } = await import('cometd/TimeStampExtension.js');
    const { BinaryExtension } = await import('cometd/BinaryExtension.js');
    const server = await start(after, '--channel', 'kept history=100'), clocks = new TimeSyncExtension(), got = [], from = { '/kept': -2 };
    const replay = {
      outgoing(message) {
        if (message.channel === '/meta/handshake') (message.ext ||= {}).replay = true;
        if (message.channel === '/meta/subscribe') (message.ext ||= {}).replay = from;
        return message;
      },
    };
    for (const n of numbers(1, 3)) await publish(server, 'kept', { n });
    const extensions = { timesync: clocks, timestamp: new TimeStampExtension(), binary: new BinaryExtension(), replay };
    const client = await connect(after, server.url, { transport, extensions });
    const listen = (list) => reply((done) => { list.on = client.subscribe('/kept', (message) => list.push(message.data), done); });
    assert.equal((await listen(got)).successful, true);
    await until('what was kept', () => got.length >= 3);
    await publish(server, 'kept', { n: 4 });
    await until('what is new', () => got.length >= 4);
    assert.deepEqual(got.map(({ n }) => n), [1, 2, 3, 4]);
    await reply((done) => client.unsubscribe(got.on, done));
    from['/kept'] = got[1].event.replayId;
    const later = [];
    assert.equal((await listen(later)).successful, true);
    await until('what came behind', () => later.length >= 2);
    assert.deepEqual(later.map(({ n }) => n), [3, 4]);
    await reply((done) => client.unsubscribe(later.on, done));
    from['/kept'] = 1;
    assert.match((await listen([])).error, /^400::The replayId \{1\} you provided was invalid/);
    assert.ok(Math.abs(clocks.getTimeOffset()) < 1000, 'both clocks are this machine\'s');
    const bytes = [];
    await reply((done) => client.subscribe('/bytes', (message) => bytes.push(new Uint8Array(message.data.data)), done));
    client.publishBinary('/bytes', new Uint8Array([0, 255, 7, 8]), true);
    await until('the bytes', () => bytes.length === 1);
    assert.deepEqual([...bytes[0]], [0, 255, 7, 8]);
  });
}

test('one channel, with clients of CometD, Faye, Revolved and EventSource: each hears each once', async (after) => {
  const server = await start(after), heard = {}, hears = (name) => { const list = heard[name] = []; return (value) => list.push(value); };
  const comets = await Promise.all(TRANSPORTS.map((transport) => connect(after, server.url, { transport })));
  const fayes = TRANSPORTS.map((transport) => faye(after, server.url, { transport }));
  for (const [n, client] of comets.entries()) {
    const hear = hears('cometd ' + TRANSPORTS[n]);
    await reply((done) => client.subscribe('/chat/room1', (message) => hear(message.data), done));
  }
  for (const [n, client] of fayes.entries()) await client.subscribe('/chat/*', hears('faye ' + TRANSPORTS[n]));
  const revolved = new Revolved({ url: server.url }), hear = hears('revolved');
  after(() => revolved.disconnect());
  revolved.connect('rita');
  await revolved.subscribe('chat/room1', (payload) => hear(payload));
  const source = new EventSource(server.url + '/_/events?channel=chat/room1'), read = hears('events');
  after(() => source.close());
  source.onmessage = ({ data }) => read(JSON.parse(data));
  await until('all of them', async () => await server.metric('orbited_subscriptions') === 7);
  const said = [];
  for (const [n, client] of comets.entries()) said.push({ cometd: n }) && await reply((done) => client.publish('/chat/room1', { cometd: n }, done));
  for (const [n, client] of fayes.entries()) said.push({ faye: n }) && await client.publish('/chat/room1', { faye: n });
  said.push('é\u2028"<');
  await revolved.publish('chat/room1', 'é\u2028"<');
  said.push(null);
  await publish(server, 'chat/room1', null);
  for (const [name, list] of Object.entries(heard)) {
    await until(`all at ${name}`, () => list.length >= said.length);
    assert.deepEqual(list, said, name);
  }
  assert.equal(Object.keys(heard).length, 6);
});

for (const transport of TRANSPORTS) {
  test(`cometd over ${transport} with the ack extension, through cuts: lost 0, repeated 0, in order`, async (after) => {
    const server = await start(after), between = await chaos(server.port), got = [];
    after(between.close);
    const client = await connect(after, between.url, { transport, acks: true, backoffIncrement: 20, maxBackoff: 100, maxNetworkDelay: 2000, connectTimeout: 2000 });
    await reply((done) => client.subscribe('/a', (message) => got.push(message.data), done));
    let shakes = 0, cuts = 0;
    client.addListener('/meta/handshake', (message) => { shakes += message.successful; });
    between.set({ cut: 0.5, swallow: transport === 'websocket' ? 0 : 0.1, dribble: 0.1 });
    for (const n of numbers(1, 1000)) {
      await publish(server, 'a', n);
      if (n % 100 === 0) {
        await until('the client is on its way back', () => between.alive().length > 0);
        cuts += between.cut();
      }
      if (n % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    between.calm();
    await until('all of them', () => got.length >= 1000);
    assert.deepEqual(got, numbers(1, 1000));
    assert.equal(shakes, 0, 'the session lived on');
    assert.ok(cuts >= 10, JSON.stringify({ cuts, ...between.counts }));
  });
}
