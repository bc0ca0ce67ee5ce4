// CSP.js in Chromium when its page is loaded again, hidden, and off the network for a while.
'use strict';

const { test, until, lines, assert } = require('../interop/lib/harness.js');
const { serve, proxy } = require('../interop/lib/server.js');
const { page: open } = require('../interop/lib/chromium.js');

/** A page on the server's own origin with a session that keeps what it read in the tab's storage. */
async function begin(after, url, options = {}) {
  const page = await open(after);
  await load(page, url, options);
  return page;
}

async function load(page, url, options) {
  // A text of the server's own: whatever has no scripts does.
  await page.goto(url + '/_/CSP.d.ts');
  await page.addScriptTag({ url: '/_/CSP.min.js' });
  await page.evaluate((options) => {
    window.session = new CSP.CometSession();
    window.state = { resumed: null, reason: '' };
    session.onopen = () => { state.resumed = session.resumed; };
    session.onread = (text) => sessionStorage.setItem('got', (sessionStorage.getItem('got') || '') + text);
    session.onclose = (reason) => { state.reason = reason; };
    session.connect('/_/echo/csp', options);
  }, options);
  await until('onopen', async () => (await page.evaluate(() => state.resumed)) !== null);
}

const got = (page) => page.evaluate(() => sessionStorage.getItem('got') || '');
const say = (page, text) => page.evaluate((text) => session.write(text), text);

for (const transport of ['websocket', 'sse', 'longpoll']) {
  test(`CSP.js in Chromium over ${transport}: a page that is loaded again in mid-stream loses and repeats nothing`, async (after) => {
    const server = await serve(), options = { resume: 'tab', transports: [transport] };
    after(server.stop);
    const page = await begin(after, server.url, options), all = lines(1, 300);
    for (let at = 0; at < 300; at += 100) {
      await say(page, all.slice(at, at + 100).join(''));
      if (at) await until('some of it', async () => (await got(page)).length > 100);
      if (at < 200) await load(page, server.url, options);
      if (at < 200) assert.equal(await page.evaluate(() => state.resumed), true);
    }
    await until('all of it', async () => (await got(page)).length >= all.join('').length);
    assert.equal(await got(page), all.join(''));
    assert.equal(await server.metric('orbited_signons_total'), 1);
  });
}

test('CSP.js in Chromium: last words of a page that is left, and the first of the next, all come through', async (after) => {
  const server = await serve(), options = { resume: 'tab' };
  after(server.stop);
  const page = await begin(after, server.url, options);
  await page.evaluate(() => document.addEventListener('visibilitychange', () => session.write('bye ')));
  await say(page, 'one ');
  await until('the echo', async () => (await got(page)) === 'one ');
  await load(page, server.url, options);
  await say(page, 'two ');
  await until('all of it', async () => (await got(page)).includes('two '));
  assert.match(await got(page), /^one (bye )?two $/);
  assert.equal(await page.evaluate(() => session.bufferedAmount), 0);
});

test('CSP.js in Chromium: a page that is loaded again when the server has forgotten it begins anew', async (after) => {
  const server = await serve('--session-timeout', '1s'), options = { resume: 'tab', duration: 1 };
  after(server.stop);
  const page = await begin(after, server.url, options);
  await say(page, 'one');
  await until('the echo', async () => (await got(page)) === 'one');
  await page.goto('about:blank');
  await until('the session to be given up', async () => (await server.metric('orbited_signoffs_total{reason="timeout"}')) === 1);
  await load(page, server.url, options);
  await say(page, 'two');
  await until('the echo', async () => (await got(page)) === 'onetwo');
  assert.equal(await page.evaluate(() => state.resumed), false);
});

test('CSP.js in Chromium: a page that is loaded again later than timeouts.resume begins anew', async (after) => {
  const server = await serve(), options = { resume: 'tab', timeouts: { resume: -1 } };
  after(server.stop);
  const page = await begin(after, server.url, options);
  await load(page, server.url, options);
  assert.equal(await page.evaluate(() => state.resumed), false);
  assert.equal(await server.metric('orbited_signons_total'), 2);
});

test('CSP.js in Chromium: off the network and on again, the stream goes on where it was', async (after) => {
  const server = await serve(), between = await proxy(server.port);
  after(server.stop);
  after(between.close);
  const page = await begin(after, between.url), all = lines(1, 100);
  await say(page, all.slice(0, 50).join(''));
  await until('the first half', async () => (await got(page)) === all.slice(0, 50).join(''));
  between.target = 0;
  between.cut();
  await page.context().setOffline(true);
  await say(page, all.slice(50).join(''));
  await until('the loss to be seen', () => page.evaluate(() => session.transport === ''));
  between.target = server.port;
  await page.context().setOffline(false);
  await until('the second half', async () => (await got(page)) === all.join(''));
  assert.deepEqual(await page.evaluate(() => [session.stats.lost, session.stats.repeated, state.reason]), [0, 0, '']);
});
