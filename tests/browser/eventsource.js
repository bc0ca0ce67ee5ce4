// Chromium's own EventSource as the downstream of a CSP session, and as a reader of channels.
'use strict';

const { test, until, lines, assert } = require('../interop/lib/harness.js');
const { serve, files, proxy } = require('../interop/lib/server.js');
const { page: open } = require('../interop/lib/chromium.js');

const PAGE = `<!doctype html><title>EventSource</title><script>
  window.got = [];
  window.listen = (url) => new Promise((resolve) => {
    const source = new EventSource(url);
    source.onopen = resolve;
    source.onmessage = ({ data, lastEventId }) => got.push([lastEventId, data]);
  });
</script>`;

/** A page, on another port than the server's, that listens to `url`. */
async function listen(after, url) {
  const site = await files({ '/': PAGE }), page = await open(after);
  after(site.close);
  await page.goto(site.url + '/');
  await page.evaluate((url) => listen(url), url);
  return () => page.evaluate(() => got);
}

for (const [kind, variables] of [['held for one batch', '&du=1'], ['streaming', '&is=1&i=2']]) {
  test(`EventSource in Chromium: a CSP session, ${kind}, that is cut twice loses and repeats nothing`, async (after) => {
    const server = await serve(), between = await proxy(server.port), base = '/_/echo/csp';
    after(server.stop);
    after(between.close);
    const { session } = JSON.parse((await (await fetch(`${server.url}${base}/handshake?d={}`)).text()).slice(1, -1));
    const query = `s=${session}&a=0&se=1&bp=data%3A%20&bs=%0D%0A&ct=text%2Fevent-stream${variables}`;
    const got = await listen(after, `${between.url}${base}/comet?${query}`);
    const packets = async () => (await got()).flatMap(([, text]) => JSON.parse(text.slice(1, -1)));
    for (let id = 1; id <= 60; id++) {
      await fetch(`${server.url}${base}/send?s=${session}`, { method: 'POST', body: JSON.stringify([[id, 0, `line ${id}`]]) });
      if (id === 20 || id === 40) {
        await until('some packets', async () => (await packets()).length > id - 20);
        between.cut();
      }
    }
    await until('the packets', async () => (await packets()).length >= 60);
    assert.deepEqual(await packets(), lines(1, 60).map((line, i) => [i + 1, 0, line.trim()]));
    assert.equal((await got()).at(-1)[0], '60');
    assert.ok(between.accepted >= 3);
  });
}

test('EventSource in Chromium: what is published into a channel is read by a page of another origin', async (after) => {
  const server = await serve();
  after(server.stop);
  const got = await listen(after, server.url + '/_/events?channel=chat');
  for (const body of ['hello é', 'two\nlines']) await fetch(`http://${server.internal}/api/publish/chat`, { method: 'POST', body });
  await until('the events', async () => (await got()).length === 2);
  assert.deepEqual((await got()).map(([, data]) => data), ['hello é', 'two\nlines']);
});
