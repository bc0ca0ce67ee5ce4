// npm's stompit over TCP: as a client, and as the application beside a browser's.
'use strict';

const { test, until, assert } = require('./lib/harness.js');
const { serve, top } = require('./lib/server.js');
const stompit = require('stompit');
const Revolved = require(top + '/static/Revolved.js');

const numbers = (count) => Array.from({ length: count }, (_, n) => n);

/** A client that is connected; its errors stand in a list. */
async function connect(after, server, connectHeaders = {}) {
  const [host, port] = server.stomp.split(':');
  const client = await new Promise((resolve, reject) => {
    const options = { host, port: Number(port), connectHeaders: { host: '/', 'heart-beat': '1000,1000', ...connectHeaders } };
    stompit.connect(options, (error, connected) => error ? reject(error) : resolve(connected));
  });
  client.errors = [];
  client.on('error', (error) => client.errors.push(error));
  after(() => client.destroy());
  return client;
}

function send(client, headers, body) {
  const frame = client.send(headers);
  frame.write(body);
  frame.end();
}

/** What comes of a subscription: its headers and its body, and how to acknowledge it. */
function subscribe(client, headers, take) {
  client.subscribe(headers, (error, message) => {
    if (error) return client.errors.push(error);
    message.readString('utf-8', (failed, body) => take({ headers: message.headers, body, ack: () => client.ack(message), nack: () => client.nack(message) }));
  });
}

test('stompit: 500 messages come in order and are acknowledged one by one', async (after) => {
  const server = await serve(), got = [];
  after(server.stop);
  const client = await connect(after, server);
  subscribe(client, { destination: '/topic/chat/room1', ack: 'client-individual' }, (message) => { got.push(message); message.ack(); });
  for (const n of numbers(500)) send(client, { destination: '/topic/chat/room1', n: String(n), 'content-type': 'text/plain' }, `${n} é`);
  await until('all of them', () => got.length === 500);
  assert.deepEqual(got.map((message) => message.body), numbers(500).map((n) => `${n} é`));
  assert.deepEqual(got.map((message) => message.headers.n), numbers(500).map(String));
  await new Promise((resolve) => client.disconnect(resolve));
  await until('it is gone', async () => await server.metric('orbited_sessions') === 0);
  assert.deepEqual([await server.metric('orbited_undelivered_total'), client.errors], [0, []]);
});

test('stompit: two workers share what happens to 200 browsers, and one that dies loses nothing', async (after) => {
  const server = await serve(), all = [], browsers = [];
  after(server.stop);
  const workers = [];
  for (const n of [0, 1]) {
    const worker = await connect(after, server, { 'orbit-role': 'app', login: 'workers' });
    workers.push(worker);
    // The first takes some and dies with the rest.
    subscribe(worker, { destination: '/orbit/signon', ack: 'client-individual' }, (message) => {
      all.push([n, message]);
      if (n === 1 || Number(message.headers['orbit-event-seq']) < 50) message.ack();
    });
  }
  for (let n = 0; n < 200; n++) {
    const browser = new Revolved({ url: server.url });
    browsers.push(browser);
    browser.connect();
  }
  after(() => browsers.forEach((browser) => browser.disconnect()));
  const seqs = (of) => new Set(all.filter(of).map(([, message]) => message.headers['orbit-event-seq']));
  await until('an event of each', () => seqs(() => true).size === 200);
  const mine = seqs(([n]) => n === 0);
  assert.ok(mine.size >= 50 && mine.size <= 150, `${mine.size} of 200`);
  workers[0].destroy();
  const unacked = [...mine].filter((seq) => Number(seq) >= 50);
  await until('what it had not acknowledged', () => unacked.every((seq) => seqs(([n]) => n === 1).has(seq)));
  const again = all.filter(([n, message]) => n === 1 && message.headers.redelivered === 'true');
  assert.deepEqual(again.map(([, message]) => message.headers['orbit-event-seq']), unacked.sort((a, b) => a - b));
  assert.equal(seqs(([n]) => n === 1).size, 200 - mine.size + unacked.length);
});
