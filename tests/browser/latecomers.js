// The front page in Chromium: who comes late, leaves, loads it again or was away too long sees what was drawn, who is
// there, and what is missing.
'use strict';

const { test, until, assert } = require('../interop/lib/harness.js');
const { proxy } = require('../interop/lib/server.js');
const { screenshot } = require('../interop/lib/chromium.js');
const { DESKTOP, PHONE, start, visit, connected, at, strokes, stats, said, transport, draw, painted, agree, nothingLost } = require('../interop/lib/board.js');

const names = (page) => page.evaluate(() => [...document.querySelectorAll('#names li')].map((item) => item.innerText));
const here = (page, ...who) => until(`the page lists ${who}`, async () => String(await names(page)) === String(who));
/** What each piece is called: it must be there once. */
const pieces = (page) => page.evaluate(() => demo.pieces.map(({ n }) => n));

async function once(page, all) {
  const had = await pieces(page);
  assert.equal(new Set(had).size, had.length);
  assert.deepEqual([...had].sort(), [...all].sort());
}

/** Publishes strokes as nobody in particular. */
async function post(server, from, to) {
  for (let n = from; n <= to; n++) {
    const y = (n % 90 + 5) / 100, body = JSON.stringify({ by: 'post', hue: n, n: `post ${n}`, points: [0.1, y, 0.9, y] });
    await fetch(`http://${server.internal}/api/publish/demo/board`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  }
}

const nothingOverlaps = (page) => page.evaluate(() => {
  const boxes = [...document.querySelectorAll('header > *, .board, .members, .chat > h2, #log, #form, .status, footer')].filter((one) => !one.hidden).map((one) => one.getBoundingClientRect());
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  return document.documentElement.scrollWidth <= innerWidth && boxes.every((a, n) => boxes.slice(n + 1).every((b) => !meet(a, b)));
});

for (const [device, options] of [['desktop', DESKTOP], ['phone', PHONE]]) {
  for (const colorScheme of ['light', 'dark']) {
    test(`the front page: a latecomer on a ${device}, ${colorScheme}, sees all strokes, who is there and who draws`, async (after) => {
      const server = await start(after), ann = await visit(after, server, 'Ann'), bob = await visit(after, server, 'Bob');
      await draw(ann, 0.3);
      await draw(bob, 0.6);
      await agree(ann, bob);
      await at(ann, 'chat-input').fill('Does anybody else come?');
      await at(ann, 'chat-send').click();
      await said(bob, 'Does anybody');
      const cyd = await visit(after, server, 'Cyd', { ...options, colorScheme });
      await agree(ann, bob, cyd);
      await once(cyd, await pieces(ann));
      await said(cyd, 'Does anybody');
      await here(cyd, 'Ann', 'Bob', 'Cyd');
      await here(ann, 'Ann', 'Bob', 'Cyd');
      assert.ok(await painted(cyd) > 1000);
      await draw(bob, 0.8, () => until('Bob draws', () => cyd.evaluate(() => document.querySelector('[data-draws]')?.innerText === 'Bob')));
      await agree(ann, bob, cyd);
      await nothingLost(ann, bob, cyd);
      assert.ok(await nothingOverlaps(cyd));
      if (device === 'phone') await cyd.evaluate(() => scrollTo(0, 200));
      await screenshot(cyd, `latecomer-${device}-${colorScheme}`);
    });
  }
}

test('the front page: fifty people with long names fit, the rest is counted', async (after) => {
  const server = await start(after), page = await visit(after, server, 'Ann');
  for (const viewport of [DESKTOP.viewport, PHONE.viewport]) {
    await page.setViewportSize(viewport);
    await page.evaluate(() => { for (let n = 0; n < 50; n++) demo.revolved._moved('onjoin', 'demo/board', `Quiet Badger of the ${n}th`); });
    await until('the list', async () => (await names(page)).at(-1) === 'and 21 more');
    assert.ok(await nothingOverlaps(page));
    await screenshot(page, `crowd-${viewport.width}`);
  }
});

test('the front page: who leaves is no longer there after the grace, who loads the page again was never away', async (after) => {
  const server = await start(after, '--presence-grace', '1s'), ann = await visit(after, server, 'Ann'), bob = await visit(after, server, 'Bob');
  await here(ann, 'Ann', 'Bob');
  await ann.evaluate(() => { window.left = []; demo.revolved.onleave = (channel, name) => left.push(name); });
  const cyd = await visit(after, server, 'Cyd');
  await here(ann, 'Ann', 'Bob', 'Cyd');
  await cyd.reload({ waitUntil: 'domcontentloaded' });
  await connected(cyd, 'Cyd');
  await bob.close();
  await here(ann, 'Ann', 'Cyd');
  assert.deepEqual(await ann.evaluate(() => left), ['Bob']);
});

test('the front page: a page loaded again in the middle of a stroke has everything once, its own name and its colour', async (after) => {
  const server = await start(after), ann = await visit(after, server, 'Ann'), bob = await visit(after, server, 'Bob');
  await draw(ann, 0.2);
  await draw(bob, 0.4);
  await ann.evaluate(() => history.replaceState(null, '', '/'));
  await draw(bob, 0.6, async () => {
    await draw(ann, 0.8);
    const before = await ann.evaluate(() => ({ ...demo.me, name: demo.revolved.user }));
    await ann.reload({ waitUntil: 'domcontentloaded' });
    await connected(ann, 'Ann');
    assert.deepEqual(await ann.evaluate(() => ({ ...demo.me, name: demo.revolved.user })), before);
  });
  await agree(ann, bob);
  await once(ann, await pieces(bob));
  await nothingLost(ann, bob);
});

test('the front page: of a board with more than an answer holds a latecomer sees all', async (after) => {
  const server = await start(after);
  await post(server, 1, 2300);
  const ann = await visit(after, server, 'Ann');
  await until('all strokes', async () => (await strokes(ann)) === 2300);
  assert.deepEqual(await pieces(ann), Array.from({ length: 2300 }, (_, n) => `post ${n + 1}`));
});

/** A page behind a proxy; `away` keeps it off until the server has forgotten its session. */
async function behind(after, server, name) {
  const between = await proxy(server.port), page = await visit(after, { url: between.url }, name, DESKTOP, '&duration=1');
  after(between.close);
  await page.evaluate(() => { window.resumed = {}; demo.revolved.onresumed = (channel, { recovered }) => { resumed[channel] = recovered; }; });
  const away = async (meanwhile) => {
    between.target = 0;
    between.cut();
    await meanwhile();
    await until('the server to forget', () => server.metric('orbited_signoffs_total{reason="timeout"}'));
    between.target = server.port;
    await until('the page to be back', () => page.evaluate(() => 'demo/chat' in resumed));
  };
  return { page, away, recovered: () => page.evaluate(() => resumed['demo/board']) };
}

test('the front page: away until the server has forgotten it, it has all that was drawn meanwhile, and its own', async (after) => {
  const server = await start(after, '--session-timeout', '1s'), { page: ann, away, recovered } = await behind(after, server, 'Ann'), bob = await visit(after, server, 'Bob');
  await draw(ann, 0.2);
  await agree(ann, bob);
  await away(async () => {
    await draw(bob, 0.4);
    await draw(ann, 0.6);
  });
  await agree(ann, bob);
  await once(ann, await pieces(bob));
  assert.equal(await recovered(), true);
  await nothingLost(ann, bob);
  await here(ann, 'Ann', 'Bob');
});

test('the front page: away while more is drawn than is kept, it says how much is gone, and has the rest', async (after) => {
  const flags = ['--session-timeout', '1s', '--channel', 'demo/* history=20 presence'], server = await start(after, ...flags);
  const { page: ann, away, recovered } = await behind(after, server, 'Ann');
  await post(server, 1, 5);
  await until('the first', async () => (await strokes(ann)) === 5);
  await away(() => post(server, 6, 40));
  await said(ann, '15 pieces');
  assert.equal((await at(ann, 'chat-log').innerText()).trim(), '15 pieces of what was drawn while you were away are gone');
  await once(ann, [...Array(5).keys(), ...Array(40).keys()].filter((n, at) => at < 5 || n >= 20).map((n) => `post ${n + 1}`));
  assert.deepEqual([await recovered(), (await stats(ann)).lost], [false, 15]);
  await until('the figure', async () => (await at(ann, 'lost').innerText()) === '15');
  await screenshot(ann, 'gap-desktop');
});

for (const name of ['websocket', 'sse', 'stream', 'longpoll', 'jsonp']) {
  test(`Revolved.js in Chromium over ${name}: history, members, a pattern and what became of a message`, async (after) => {
    const server = await start(after);
    await post(server, 1, 3);
    const bob = await visit(after, server, 'Bob'), ann = await visit(after, server, 'Ann', DESKTOP, '&transports=' + name);
    await transport(ann, name);
    assert.deepEqual(await pieces(ann), ['post 1', 'post 2', 'post 3']);
    await here(ann, 'Ann', 'Bob');
    const { last, fates, got } = await ann.evaluate(async () => {
      const r = demo.revolved, got = [];
      await r.subscribe('rooms/*', (payload, sender, info, channel) => got.push([payload, sender, channel]));
      await r.publish('rooms/a', 1);
      const { delivered } = await r.send('Bob', 'psst', { report: true });
      return { last: (await r.history('demo/board', { limit: 1, reverse: true })).messages[0].offset, fates: await delivered, got };
    });
    assert.deepEqual([last, fates, got], [3, [{ state: 'acked', reason: null }], [[1, 'Ann', 'rooms/a']]]);
    await nothingLost(ann, bob);
  });
}

test('the front page: where the operator has no rule for it, people draw and talk, without a list and without a past', async (after) => {
  const server = await start(after, '--channel', 'none'), ann = await visit(after, server, 'Ann'), bob = await visit(after, server, 'Bob');
  await draw(ann, 0.3);
  await draw(bob, 0.6);
  await agree(ann, bob);
  const cyd = await visit(after, server, 'Cyd');
  await draw(ann, 0.8);
  await until('what is new', async () => (await strokes(cyd)) > 0);
  assert.equal(await at(cyd, 'members').isVisible(), false);
  await at(ann, 'chat-input').fill('hello');
  await at(ann, 'chat-send').click();
  await said(cyd, 'hello');
  assert.ok((await strokes(cyd)) < (await strokes(ann)));
  await nothingLost(ann, bob, cyd);
});
