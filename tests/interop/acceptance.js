// The eleven acceptance tests of the protocol's authors (cspacceptor), as recorded: requests written in several TCP
// segments, header names looked up in their canonical case, a pure echo behind the server.
'use strict';

const net = require('node:net');
const { test, until, assert } = require('./lib/harness.js');
const { serve } = require('./lib/server.js');

const PAUSE_MS = 30;      // between segments: the recorded client pauses, so that they travel apart

/** A server with its echo, and ways to ask it. */
async function start(after) {
  const server = await serve('--legacy-html');
  after(server.stop);
  const connect = () => {
    const socket = net.connect(server.port, '127.0.0.1').setNoDelay(true), seen = { socket, bytes: '' };
    socket.on('data', (data) => { seen.bytes += data; }).on('error', () => {});
    after(() => socket.destroy());
    return seen;
  };
  const begin = async (method, target, body = '') => {
    const seen = connect(), length = body ? `Content-Length: ${body.length}\r\n` : '';
    const segments = [`${method} /_/echo/csp${target} HTTP/1.1\r\n`, `Host: ${server.address}\r\n${length}\r\n${body}`];
    for (const segment of segments) {
      seen.socket.write(segment);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    return seen;
  };
  const get = async (target) => answer(await begin('GET', target));
  const session = async () => JSON.parse((await get('/handshake?d=%7B%7D')).body.slice(1, -1)).session;
  return { begin, get, session };
}

/** One whole answer with a length. */
async function answer(seen) {
  const [head, body] = await until('an answer', () => {
    const [head, ...rest] = seen.bytes.split('\r\n\r\n'), body = rest.join('\r\n\r\n');
    const length = /\r\nContent-Length: (\d+)/.exec(head);
    return length && rest.length && body.length >= Number(length[1]) && [head, body];
  });
  return { status: Number(head.split(' ')[1]), head, body };
}

/** Batches of a stream so far, without the chunks' framing. */
const chunks = (seen) => [...seen.bytes.split('\r\n\r\n').slice(1).join('').matchAll(/[0-9a-f]+\r\n(\(.*?\);;;)\r\n/g)].map((match) => match[1]);

test('acceptance 1: a comet without data is answered by an empty batch when its duration is over', async (after) => {
  const { get, session } = await start(after);
  assert.deepEqual(JSON.parse((await get(`/comet?s=${await session()}&du=1`)).body.slice(1, -1)), []);
});

test('acceptance 2: a stream begins with what waits and goes on with each packet, suffix included', async (after) => {
  const { begin, get, session } = await start(after), s = await session();
  const send = async (id, text) => assert.equal((await get(`/send?s=${s}&d=%5B%5B${id}%2C+0%2C+%22${text}%22%5D%5D`)).body, '("OK")');
  await send(1, 'foo');
  const stream = await begin('GET', `/comet?is=1&du=5&s=${s}&bs=%3B%3B%3B`);
  await until('the first batch', () => chunks(stream).length === 1);
  await send(2, 'bar');
  await until('the second batch', () => chunks(stream).length === 2);
  await send(3, 'baz');
  await until('the third batch', () => chunks(stream).length === 3);
  assert.deepEqual(chunks(stream), ['([[1,0,"foo"]]);;;', '([[2,0,"bar"]]);;;', '([[3,0,"baz"]]);;;']);
  assert.match(stream.bytes, /\r\nTransfer-Encoding: chunked\r\n/);
});

for (const [number, what, query] of [[3, 'does not parse', '?d=%7B%2F'], [4, 'is missing', ''], [5, 'is no object', '?d=%5B%5D']]) {
  test(`acceptance ${number}: a handshake whose data ${what} is refused`, async (after) => {
    assert.equal((await (await start(after)).get('/handshake' + query)).status, 400);
  });
}

for (const [number, what, query, form] of [
  [6, 'an empty object', '?d=%7B%7D', /^\(\{"session":"[0-9A-Za-z_-]+"\}\)$/],
  [7, 'a prefix and a suffix', '?rp=testing&d=%7B%7D&rs=%3B', /^testing\(\{"session":"[0-9A-Za-z_-]+"\}\);$/],
  [8, 'unknown members', '?d=%7B%22spam%22%3A%22eggs%22%7D', /^\(\{"session":"[0-9A-Za-z_-]+"\}\)$/],
]) {
  test(`acceptance ${number}: a handshake with ${what} makes a session`, async (after) => {
    const { status, head, body } = await (await start(after)).get('/handshake' + query);
    assert.equal(status, 200);
    assert.match(head, /\r\nContent-Type: text\/html\r\n/);
    assert.match(body, form);
  });
}

const SCRIPT = "<script>alert('woot')</script>";

test('acceptance 9: reflect returns the data of a query as it is', async (after) => {
  const { get, session } = await start(after), { head, body } = await get(`/reflect?s=${await session()}&d=${encodeURIComponent(SCRIPT)}`);
  assert.equal(body, SCRIPT);
  assert.match(head, /\r\nContent-Type: text\/html\r\n/);
});

test('acceptance 10: reflect returns the data of a body as it is', async (after) => {
  const { begin, session } = await start(after);
  assert.equal((await answer(await begin('POST', `/reflect?s=${await session()}`, SCRIPT))).body, SCRIPT);
});

test('acceptance 11: a held comet is answered as soon as there is a packet, plain text in encoding 0', async (after) => {
  const { begin, get, session } = await start(after), s = await session(), held = await begin('GET', `/comet?s=${s}`);
  await get(`/send?s=${s}&d=%5B%5B1%2C+0%2C+%22abc%22%5D%5D`);
  assert.equal((await answer(held)).body, '([[1,0,"abc"]])');
});
