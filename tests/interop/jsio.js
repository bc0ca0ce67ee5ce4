// npm jsio 2.2.5: the CSP client of the protocol's authors, unchanged, over XHR long-polling in plain node.
'use strict';

const { test, until, lines, assert } = require('./lib/harness.js');
const { serve, proxy } = require('./lib/server.js');
const { CometSession } = require('./lib/jsio_node.js');

/** A connected session; `got` is what it read, `ended` why it ended. */
async function connect(after, url) {
  const session = new CometSession(), seen = { session, got: '', ended: null, connected: false };
  session.onconnect = () => { seen.connected = true; };
  session.onread = (text) => { seen.got += text; };
  session.ondisconnect = (error) => { seen.ended = error || 'closed by the page'; };
  session.connect(url + '/_/echo/csp', { encoding: 'utf8', preferredTransport: 'xhr' });
  after(() => session._transport.abort());
  await until('onconnect', () => seen.connected);
  return seen;
}

async function start(after, ...flags) {
  const server = await serve(...flags);
  after(server.stop);
  return server;
}

test('jsio in node: text that is not ASCII comes back as it was', async (after) => {
  const seen = await connect(after, (await start(after)).url);
  seen.session.write('hello é€');
  await until('the echo', () => seen.got.length >= 8);
  assert.equal(seen.got, 'hello é€');
});

test('jsio in node: three writes back to back, which it merges, come back in order', async (after) => {
  const seen = await connect(after, (await start(after)).url);
  for (const text of ['m1', 'm2', 'm3']) seen.session.write(text);
  await until('the echo', () => seen.got.length >= 6);
  assert.equal(seen.got, 'm1m2m3');
});

test('jsio in node: 200 lines come back in order, then close() ends the session cleanly', async (after) => {
  const server = await start(after), seen = await connect(after, server.url), all = lines(1, 200);
  for (const line of all) {
    seen.session.write(line);
    await new Promise(setImmediate);
  }
  await until('the echo', () => seen.got.length >= all.join('').length);
  assert.equal(seen.got, all.join(''));
  assert.equal(seen.ended, null);
  seen.session.close();
  assert.equal(seen.ended, 'closed by the page');
  await until('the clean signoff', () => server.metric('orbited_signoffs_total{reason="clean"}'));
  assert.equal(await server.metric('orbited_signoffs_total'), 1);
});

test('jsio in node: a close by the server comes behind what it said and is clean', async (after) => {
  const server = await start(after), seen = await connect(after, server.url);
  seen.session.write('last words\n!close');
  await until('ondisconnect', () => seen.ended);
  assert.equal(String(seen.ended), 'ConnectionClosedCleanly');
  assert.equal(seen.got, 'last words\n');
  await until('the signoff', () => server.metric('orbited_signoffs_total'));
});

test('jsio in node: a session that the server does not know ends as ExpiredSession', async (after) => {
  const [old, fresh] = [await start(after), await start(after)], between = await proxy(old.port);
  after(between.close);
  const seen = await connect(after, between.url);
  seen.session.write('before');
  await until('the echo', () => seen.got === 'before');
  between.target = fresh.port;
  between.cut();
  await until('ondisconnect', () => seen.ended);
  assert.equal(seen.ended.type, 'ExpiredSession');
});

test('jsio in node: connections that are cut lose, repeat and reorder nothing', async (after) => {
  const between = await proxy((await start(after)).port);
  after(between.close);
  const seen = await connect(after, between.url), all = lines(1, 60).join('');
  for (let n = 0; n < 3; n++) {
    lines(1 + 20 * n, 20 + 20 * n).forEach((line) => seen.session.write(line));
    await until('a part of the echo', () => seen.got.length > n * all.length / 3);
    between.cut();
  }
  await until('the echo', () => seen.got.length >= all.length);
  assert.equal(seen.got, all);
});
