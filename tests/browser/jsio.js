// npm jsio 2.2.5's CSP client in Chromium, on a page of another port than the server's, by XHR and by script tags.
'use strict';

const path = require('node:path');
const { test, until, lines, assert } = require('../interop/lib/harness.js');
const { serve, files, proxy, top } = require('../interop/lib/server.js');
const { page: open } = require('../interop/lib/chromium.js');

const PAGE = `<!doctype html><meta charset="utf-8"><title>jsio</title><body>
<script src="/jsio/packages/jsio.js"></script>
<script>
  window.ebName = 'void';     // a name the client's WebKit branch reads and nobody sets
  jsio.path.add('/jsio/packages');
  jsio('import net.csp.client as client');
  window.seen = { got: '', connected: false, ended: null };
  window.connect = (url, preferredTransport) => {
    const session = window.session = new client.CometSession();
    session.onconnect = () => { seen.connected = true; };
    session.onread = (text) => { seen.got += text; };
    session.ondisconnect = (error) => { seen.ended = String(error); };
    session.connect(url, { encoding: 'utf8', preferredTransport });
  };
</script>`;

/** A page with a connected session. */
async function connect(after, transport, url) {
  const site = await files({ '/': PAGE, '/jsio': path.join(top, 'tests/interop/node_modules/jsio') }), page = await open(after);
  after(site.close);
  await page.goto(site.url + '/');
  await page.evaluate(([url, transport]) => connect(url, transport), [url + '/_/echo/csp', transport]);
  const seen = () => page.evaluate(() => seen);
  await until('onconnect', async () => (await seen()).connected);
  return { page, seen, write: (...texts) => page.evaluate((texts) => texts.forEach((text) => session.write(text)), texts) };
}

async function start(after) {
  const server = await serve();
  after(server.stop);
  return server;
}

for (const transport of ['xhr', 'jsonp']) {
  test(`jsio in Chromium by ${transport}: text that is not ASCII and merged writes come back in order, and close() is clean`, async (after) => {
    const server = await start(after), { page, seen, write } = await connect(after, transport, server.url);
    await write('hello é€');
    await until('the echo', async () => (await seen()).got === 'hello é€');
    await write('m1', 'm2', 'm3');
    await until('the echo', async () => (await seen()).got === 'hello é€m1m2m3');
    await page.evaluate(() => session.close());
    await until('the clean signoff', () => server.metric('orbited_signoffs_total{reason="clean"}'));
    assert.deepEqual(page.errors, []);
  });

  test(`jsio in Chromium by ${transport}: 200 lines come back in order`, async (after) => {
    const { page, seen, write } = await connect(after, transport, (await start(after)).url), all = lines(1, 200);
    for (let at = 0; at < 200; at += 20) await write(...all.slice(at, at + 20));
    await until('the echo', async () => (await seen()).got.length >= all.join('').length);
    assert.equal((await seen()).got, all.join(''));
    assert.deepEqual(page.errors, []);
  });

  test(`jsio in Chromium by ${transport}: a close by the server is clean`, async (after) => {
    const { seen, write } = await connect(after, transport, (await start(after)).url);
    await write('last words\n!close');
    await until('ondisconnect', async () => (await seen()).ended);
    assert.deepEqual(await seen(), { connected: true, got: 'last words\n', ended: 'ConnectionClosedCleanly' });
  });
}

test('jsio in Chromium by xhr: a page of another origin reads the 404 of a session that is gone', async (after) => {
  const [old, fresh] = [await start(after), await start(after)], between = await proxy(old.port);
  after(between.close);
  const { seen, write } = await connect(after, 'xhr', between.url);
  await write('before');
  await until('the echo', async () => (await seen()).got === 'before');
  between.target = fresh.port;
  between.cut();
  await until('ondisconnect', async () => (await seen()).ended);
  assert.equal((await seen()).ended, 'ExpiredSession');
});

test('jsio in Chromium by xhr: connections that are cut lose, repeat and reorder nothing', async (after) => {
  const between = await proxy((await start(after)).port);
  after(between.close);
  const { seen, write } = await connect(after, 'xhr', between.url), all = lines(1, 60);
  for (let at = 0; at < 60; at += 20) {
    await write(...all.slice(at, at + 20));
    await until('a part of the echo', async () => (await seen()).got.length > all.slice(0, at).join('').length);
    between.cut();
  }
  await until('the echo', async () => (await seen()).got.length >= all.join('').length);
  assert.equal((await seen()).got, all.join(''));
});
