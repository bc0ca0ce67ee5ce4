// One channel and a client of every kind on it: who can publishes, and each hears everything once, as wire.md's mapping between JSON and bytes has it.
'use strict';

// In a browser an error of a WebSocket is only an event.
globalThis.WebSocket ||= class extends require('ws') {
  constructor(url) { super(url).on('error', () => {}); }
};
globalThis.EventSource ||= require('eventsource').EventSource;

const { test, until, assert } = require('./lib/harness.js');
const { serve, top } = require('./lib/server.js');
const { connect, reply, faye } = require('./lib/bayeux.js');
const jsio = require('./lib/jsio_apart.js');
const net = require('node:net');
const { Client } = require('@stomp/stompjs');
const Revolved = require(top + '/static/Revolved.js');

const CHANNEL = 'chat/room1';

/** What a byte stream of Revolved brings: the payloads of its publications. */
function lines(hear) {
  let text = '';
  return (more) => {
    const whole = (text += more).split('\n');
    text = whole.pop();
    for (const [verb, args] of whole.map((line) => JSON.parse(line))) if (verb === 'PUBLISH') hear(args[2]);
  };
}

/** What a MESSAGE of STOMP holds, as a client of JSON would get it. */
function value(type, bytes) {
  if (type === 'application/json') return JSON.parse(bytes);
  return type.startsWith('text/') ? bytes.toString() : { base64: bytes.toString('base64'), type };
}

const JSON_TYPE = { 'content-type': 'application/json' };

const call = (id, verb, ...args) => JSON.stringify([id, verb, args]) + '\n';

/** Each kind: begins to hear on the channel, and gives back how it publishes, if it can. */
const KINDS = {
  async 'Revolved.js'(after, { url }, hear) {
    const client = new Revolved({ url });
    after(() => client.disconnect());
    client.connect('rita');
    await client.subscribe(CHANNEL, (payload) => hear(payload));
    return (value) => client.publish(CHANNEL, value);
  },
  ...Object.fromEntries(['long-polling', 'websocket'].map((transport) => ['cometd over ' + transport, async (after, { url }, hear) => {
    const client = await connect(after, url, { transport });
    await reply((done) => client.subscribe('/' + CHANNEL, (message) => hear(message.data), done));
    return (value) => reply((done) => client.publish('/' + CHANNEL, value, done));
  }])),
  ...Object.fromEntries(['long-polling', 'websocket'].map((transport) => ['faye over ' + transport, async (after, { url }, hear) => {
    const client = faye(after, url, { transport });
    await client.subscribe('/chat/*', hear);
    return (value) => client.publish('/' + CHANNEL, value);
  }])),
  async eventsource(after, { url }, hear) {
    const source = new EventSource(`${url}/_/events?channel=${CHANNEL}`);
    after(() => source.close());
    // JSON is the data itself, and so is text: what tells them apart is only what was agreed.
    source.onmessage = ({ data }) => hear(data);
    await new Promise((resolve) => { source.onopen = resolve; });
    return null;
  },
  async jsio(after, { url }, hear) {
    const session = await jsio.connect(url + '/_/revolved/csp', lines(hear));
    after(() => session.close());
    session.write(call(1, 'SUBSCRIBE', CHANNEL));
    let id = 1;
    return (value) => session.write(call(++id, 'PUBLISH', CHANNEL, value));
  },
  async 'a bare WebSocket'(after, { url }, hear) {
    const socket = new WebSocket(url.replace('http', 'ws') + '/_/revolved/ws'), got = lines(hear);
    after(() => socket.close());
    await new Promise((resolve) => { socket.onopen = resolve; });
    socket.onmessage = ({ data }) => got(data);
    socket.send(call(1, 'SUBSCRIBE', CHANNEL));
    let id = 1;
    return (value) => socket.send(call(++id, 'PUBLISH', CHANNEL, value));
  },
  async 'Revolved of Orbited 0.3'(after, { url }, hear) {
    const ask = async (name, args) => (await fetch(`${url}/_/revolved/${name}?${new URLSearchParams(args)}`)).text();
    const [word, session] = JSON.parse(await ask('connect', { resource: 'res1', user: 'olga' }));
    assert.equal(word, 'success');
    const stream = new AbortController();
    after(() => stream.abort());
    const { body } = await fetch(`${url}/_/revolved/event?user=olga&session=${session}&transport=xhr_stream`, { signal: stream.signal });
    (async () => {
      let text = '';
      for await (const more of body.pipeThrough(new TextDecoderStream())) {
        const events = (text += more).replace(/^\.{256}\r\n\r\n/, '').split('\r\n|O|\r\n');
        text = events.pop();
        for (const event of events.map((event) => JSON.parse(event))) {
          const [verb, channel, [user, resource], payload] = event;
          assert.deepEqual([verb, channel, resource], ['publish', CHANNEL, user === 'olga' ? 'res1' : null]);
          hear(JSON.parse(payload));
        }
      }
    })().catch((error) => { if (error.name !== 'AbortError') throw error; });
    assert.equal(await ask('subscribe', { session, channel: CHANNEL }), 'success');
    return async (value) => assert.equal(await ask('publish', { session, channel: CHANNEL, payload: JSON.stringify(value) }), 'success');
  },
  async 'stompjs over WebSocket'(after, { url }, hear) {
    const client = new Client({ brokerURL: url.replace('http', 'ws') + '/_/stomp', reconnectDelay: 0 });
    after(() => client.deactivate());
    await new Promise((resolve) => { client.onConnect = resolve; client.activate(); });
    client.subscribe('/topic/' + CHANNEL, (message) => hear(value(message.headers['content-type'], Buffer.from(message.binaryBody))));
    return (said) => client.publish({ destination: '/topic/' + CHANNEL, body: JSON.stringify(said), headers: JSON_TYPE });
  },
  async 'STOMP over TCP'(after, { port }, hear) {
    const socket = net.connect(port, '127.0.0.1'), said = (command, headers, body = '') => socket.write(`${command}\n${Object.entries(headers).map((pair) => pair.join(':') + '\n').join('')}\n${body}\0`);
    after(() => socket.destroy());
    let rest = Buffer.alloc(0);
    socket.on('data', (more) => {
      rest = Buffer.concat([rest, more]);
      for (let end; (end = rest.indexOf('\n\n')) >= 0;) {
        const head = rest.subarray(0, end).toString(), header = (name) => head.match(new RegExp(`\n${name}:(.*)`))?.[1];
        const last = end + 2 + Number(header('content-length') ?? 0);
        if (rest.length <= last) return;
        if (head.startsWith('MESSAGE')) hear(value(header('content-type'), rest.subarray(end + 2, last)));
        rest = rest.subarray(last + 1);
      }
    });
    said('CONNECT', { 'accept-version': '1.2' });
    said('SUBSCRIBE', { id: 0, destination: '/topic/chat/*' });
    return (value) => said('SEND', { destination: '/topic/' + CHANNEL, ...JSON_TYPE }, JSON.stringify(value));
  },
};

/** An application that speaks OP 0.4 by hand: it publishes, and each time waits until the server has it. */
async function op(after, { op }) {
  const [host, port] = op.split(':'), socket = net.connect(port, host), waiting = new Map();
  after(() => socket.destroy());
  let rest = '', id = 0;
  socket.on('data', (more) => {
    const frames = (rest += more).split('\0');
    rest = frames.pop();
    for (const frame of frames) {
      const outcome = /^CALLBACK\r\nfunction:success\r\nid:(.*)\r\n/.exec(frame);
      if (!outcome) throw new Error(frame);
      waiting.get(outcome[1])();
    }
  });
  socket.write('CONNECT\r\nid: connect\r\nconnection_id: interop\r\n\r\n\0');
  return (value) => new Promise((resolve) => {
    waiting.set(String(++id), resolve);
    socket.write(`SEND\r\nid: ${id}\r\nrecipient: channel:${CHANNEL}\r\n\r\n${JSON.stringify(value)}\0`);
  });
}

/** A server, everyone on its channel, what each heard, and `all(n)` that waits until each has that many. */
async function everyone(after) {
  const server = await serve(), heard = {}, publish = {};
  after(server.stop);
  for (const [name, begin] of Object.entries(KINDS)) {
    heard[name] = [];
    publish[name] = await begin(after, server, (value) => heard[name].push(value));
  }
  publish['OP 0.4'] = await op(after, server);
  const count = Object.keys(KINDS).length + 2;         // rita's and olga's names too
  await until('everybody is there', async () => await server.metric('orbited_subscriptions') === count);
  const all = (n) => until(`${n} at each: ${JSON.stringify(Object.entries(heard).map(([name, list]) => [name, list.length]))}`, () => Object.values(heard).every((list) => list.length >= n));
  return { server, heard, publish, all };
}

const post = (server, body, type) => fetch(`http://${server.internal}/api/publish/${CHANNEL}`, { method: 'POST', body, headers: { 'Content-Type': type } });

test('everyone on one channel: what anybody publishes is heard by all, once and in one order', async (after) => {
  const { heard, publish, all } = await everyone(after), said = [], speakers = Object.entries(publish).filter(([, say]) => say);
  for (const round of [1, 2, 3]) {
    for (const [name, say] of speakers) {
      const value = { from: name, round, text: 'é\u2028"<\\' };
      said.push(value);
      await say(value);
      await all(said.length);
    }
  }
  assert.equal(said.length, 3 * speakers.length);
  for (const [name, list] of Object.entries(heard)) {
    assert.deepEqual(name === 'eventsource' ? list.map(JSON.parse) : list, said, name);
  }
});

test('everyone on one channel: a hundred of each at the same time come once to all, each publisher\'s in its order', async (after) => {
  const { heard, publish, all } = await everyone(after), speakers = Object.entries(publish).filter(([, say]) => say), each = 100;
  await Promise.all(speakers.map(async ([name, say]) => { for (let n = 1; n <= each; n++) await say({ name, n }); }));
  await all(speakers.length * each);
  const numbers = Array.from({ length: each }, (_, n) => n + 1), orders = Object.values(heard).map((list) => list.map((value) => typeof value === 'string' ? JSON.parse(value) : value));
  for (const list of orders) {
    for (const [name] of speakers) assert.deepEqual(list.filter((value) => value.name === name).map(({ n }) => n), numbers, name);
    assert.deepEqual(list, orders[0], 'all see one order');
  }
});

test('everyone on one channel: JSON passes as it is, text as a string, anything else as base64', async (after) => {
  const { server, heard, all } = await everyone(after);
  const bodies = [
    ['{"a" :1.50,"b":[null]}', 'application/json'], ['null', 'application/json'], ['"text"', 'application/json'],
    ['plain é\nof two lines', 'text/plain'], [Buffer.from([0, 255, 10]), 'image/x-y'],
  ];
  assert.equal((await post(server, 'not {json', 'application/json')).status, 400);
  for (const [n, [body, type]] of bodies.entries()) {
    assert.equal((await post(server, body, type)).status, 201);
    await all(n + 1);
  }
  const bytes = { base64: 'AP8K', type: 'image/x-y' }, objects = [{ a: 1.5, b: [null] }, null, 'text', 'plain é\nof two lines', bytes];
  const { eventsource, ...others } = heard;
  for (const [name, list] of Object.entries(others)) assert.deepEqual(list, objects, name);
  assert.deepEqual(eventsource.slice(0, 4), ['{"a" :1.50,"b":[null]}', 'null', '"text"', 'plain é\nof two lines'], 'byte for byte');
  assert.deepEqual(JSON.parse(eventsource[4]), bytes);
});
