// npm ws: a WebSocket client nobody here wrote, on a service's byte stream and on a CSP session.
'use strict';

const WebSocket = require('ws');
const { test, until, once, lines, assert } = require('./lib/harness.js');
const { serve } = require('./lib/server.js');

/** An open socket; `got` has [text or bytes] as they came, `closed` the code. */
async function open(after, url, options) {
  const socket = new WebSocket(url.replace('http', 'ws'), options), seen = { socket, got: [], closed: null };
  socket.on('message', (data, isBinary) => seen.got.push(isBinary ? data : data.toString()));
  socket.on('close', (code) => { seen.closed = code; });
  after(() => socket.terminate());
  socket.on('error', (error) => { seen.error = error; });
  const refused = once(socket, 'unexpected-response').then(([, response]) => { throw new Error(`refused with ${response.statusCode}`); });
  await Promise.race([once(socket, 'open'), once(socket, 'close'), refused]);
  return seen;
}

async function echo(after, ...flags) {
  const server = await serve(...flags);
  after(server.stop);
  return open(after, server.url + '/_/echo/ws');
}

const messages = (seen, count) => until(`${count} messages`, () => seen.got.length >= count && seen.got);
const closed = (seen) => until('the close', () => seen.closed);

test('ws: text comes back as text and bytes as bytes, empty ones too', async (after) => {
  const seen = await echo(after), bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  for (const data of ['hello é€😀', bytes, '', Buffer.alloc(0)]) seen.socket.send(data);
  assert.deepEqual(await messages(seen, 4), ['hello é€😀', bytes, '', Buffer.alloc(0)]);
});

test('ws: 1,000 messages come back in order', async (after) => {
  const seen = await echo(after), all = lines(1, 1000);
  all.forEach((line) => seen.socket.send(line));
  assert.deepEqual(await messages(seen, 1000), all);
});

test('ws: a message in fragments, with a ping between them, is one message', async (after) => {
  const seen = await echo(after), pong = once(seen.socket, 'pong');
  seen.socket.send('frag', { fin: false });
  seen.socket.ping('between');
  seen.socket.send('', { fin: false });
  seen.socket.send('mented', { fin: true });
  assert.deepEqual(await messages(seen, 1), ['fragmented']);
  assert.equal(String((await pong)[0]), 'between');
});

test('ws: compression is offered by the client and not taken', async (after) => {
  const seen = await echo(after);
  seen.socket.send('plain');
  assert.deepEqual(await messages(seen, 1), ['plain']);
  assert.equal(seen.socket.extensions, '');
});

for (const code of [1000, 4321]) {
  test(`ws: a close with ${code} is answered with ${code}`, async (after) => {
    const seen = await echo(after);
    seen.socket.close(code, 'bye');
    assert.equal(await closed(seen), code);
  });
}

test('ws: a close by the service is 1000, behind what it said', async (after) => {
  const seen = await echo(after);
  seen.socket.send('last words\n!close');
  assert.equal(await closed(seen), 1000);
  assert.deepEqual(seen.got, ['last words\n']);
});

test('ws: a message far over --max-message is closed with 1009, one of that size is not', async (after) => {
  const seen = await echo(after, '--max-message', '1KiB');
  seen.socket.send('x'.repeat(1024));
  await messages(seen, 1);
  seen.socket.send('x'.repeat(100000));
  assert.equal(await closed(seen), 1009);
});

test('ws: text that is not UTF-8 is closed with 1007', async (after) => {
  const seen = await echo(after);
  seen.socket.send(Buffer.from([0x61, 0xff]), { binary: false });
  assert.equal(await closed(seen), 1007);
});

test('ws: a frame without a mask is closed with 1002', async (after) => {
  const seen = await echo(after);
  seen.socket.send('bare', { mask: false });
  assert.equal(await closed(seen), 1002);
});

test('ws: a page of another origin is refused when --allow-origin names some', async (after) => {
  const server = await serve('--allow-origin', 'https://good.test');
  after(server.stop);
  const seen = await open(after, server.url + '/_/echo/ws', { origin: 'https://good.test' });
  seen.socket.send('hello');
  await messages(seen, 1);
  await assert.rejects(open(after, server.url + '/_/echo/ws', { origin: 'https://evil.test' }), /refused with 403/);
});

test('ws: a request that is no upgrade is told so', async (after) => {
  const server = await serve();
  after(server.stop);
  const answer = await fetch(server.url + '/_/echo/ws');
  assert.equal(answer.status, 426);
  assert.ok((await answer.json()).hint);
});

// CSP on a WebSocket.

async function session(after, query = '', ...flags) {
  const server = await serve(...flags);
  after(server.stop);
  const base = server.url + '/_/echo/csp';
  const handshake = await fetch(base + '/handshake' + query, { method: 'POST', body: '{"encodings":[0,1,2]}' });
  const { session: key, encoding } = JSON.parse((await handshake.text()).slice(1, -1));
  assert.equal(encoding, 2);
  const carry = (a) => open(after, `${base}/websocket?s=${key}&a=${a}`);
  const post = async (name, query, body) => (await fetch(`${base}/${name}?s=${key}&${query}`, { method: 'POST', body })).text();
  return { server, base, key, carry, post };
}

const packets = (seen) => seen.got.map((text) => JSON.parse(text)).filter(Array.isArray).flat();
const acks = (seen) => seen.got.map((text) => JSON.parse(text)).filter((value) => !Array.isArray(value));

test('CSP on ws: batches go both ways and each side is told what arrived', async (after) => {
  const seen = await (await session(after)).carry(0);
  seen.socket.send('[[1,0,"hello é"],[2,1,"AP8="]]');
  await until('both packets', () => packets(seen).length === 2);
  assert.deepEqual(packets(seen), [[1, 2, 'hello é'], [2, 1, 'AP8=']]);
  await until('the acknowledgement', () => acks(seen).some(({ a }) => a === 2));
  seen.socket.send('{"a":2}');
  seen.socket.send('[[3,0,null]]');
  await until('the close packet', () => packets(seen).length === 3);
  assert.deepEqual(packets(seen)[2], [3, 0, null]);
});

test('CSP on ws: what was not acknowledged comes again, by the same numbers, over a long-poll and back', async (after) => {
  const { carry, post } = await session(after), first = await carry(0);
  first.socket.send('[[1,0,"a"],[2,0,"b"]]');
  await until('both packets', () => packets(first).length === 2);
  first.socket.terminate();
  assert.equal(await post('comet', 'a=1'), '([[2,0,"b"]])');
  assert.equal(await post('send', 'a=1', '[[2,0,"again"],[3,0,"c"]]'), '("OK")');
  const second = await carry(2);
  await until('the last packet', () => packets(second).length === 1);
  assert.deepEqual(packets(second), [[3, 0, 'c']]);
});

test('CSP on ws: an unknown session is closed with 4404, a superseded socket with 4409', async (after) => {
  const { base, carry } = await session(after), first = await carry(0);
  assert.equal(await closed(await open(after, base + '/websocket?s=AAAAAAAAAAAAAAAAAAAAAAAA&a=0')), 4404);
  const second = await carry(0);
  assert.equal(await closed(first), 4409);
  second.socket.send('[[1,0,"still here"]]');
  await until('the packet', () => packets(second).length === 1);
});

test('CSP on ws: a session without a downstream ends after --session-timeout', async (after) => {
  const { server, carry } = await session(after, '?du=0', '--session-timeout', '100ms'), first = await carry(0);
  first.socket.send('[[1,0,"hello"]]');
  await until('the packet', () => packets(first).length === 1);
  first.socket.terminate();
  await until('the signoff', () => server.metric('orbited_signoffs_total{reason="timeout"}'));
  assert.equal(await closed(await carry(1)), 4404);
});

test('CSP on ws: something that is no batch is refused', async (after) => {
  const seen = await (await session(after)).carry(0);
  seen.socket.send('nope');
  assert.equal(await closed(seen), 1008);
});
