// The front page in Chromium: two people draw and chat while their connections are cut and change their transport.
'use strict';

const { spawnSync } = require('node:child_process');
const { test, until, assert } = require('../interop/lib/harness.js');
const { screenshot } = require('../interop/lib/chromium.js');
const { DESKTOP, PHONE, start, visit, at, stats, said, press, transport, draw, painted, agree, nothingLost } = require('../interop/lib/board.js');

test('the front page: two people see each other draw and read what each says', async (after) => {
  const server = await start(after), ann = await visit(after, server, 'Ann'), bob = await visit(after, server, 'Bob');
  await draw(ann, 0.3);
  await draw(bob, 0.6);
  await agree(ann, bob);
  assert.ok(await painted(ann) > 1000 && await painted(bob) > 1000);
  await at(ann, 'chat-input').fill('hello é from Ann');
  await at(ann, 'chat-send').click();
  await at(bob, 'chat-input').fill('<b>hi</b> from Bob');
  await at(bob, 'chat-input').press('Enter');
  for (const page of [ann, bob]) {
    await said(page, 'hello é from Ann');
    await said(page, '<b>hi</b> from Bob');
  }
  await until("Bob's name is where his stroke ends", () => ann.evaluate(() => {
    const name = document.querySelector('[data-testid=cursors] span');
    return name.innerText === 'Bob' && parseFloat(getComputedStyle(name).left) > canvas.clientWidth * 0.89;
  }));
  await nothingLost(ann, bob);
  await screenshot(ann, 'whiteboard-desktop');
});

test('the front page: of three people who come with one colour each takes another', async (after) => {
  const server = await start(after), pages = await Promise.all(['Ann', 'Bob', 'Cyd'].map((name) => visit(after, server, name)));
  for (const page of pages) await page.evaluate(() => { me.hue = 200; });
  await until('their colours differ', async () => {
    for (const [n, page] of pages.entries()) await draw(page, 0.2 + n * 0.3);
    const hues = await Promise.all(pages.map((page) => page.evaluate(() => me.hue)));
    return [0, 1, 2].every((n) => Math.abs(hues[n] - hues[(n + 1) % 3]) >= 60);
  });
  await agree(...pages);
  await nothingLost(...pages);
});

test('the front page: a change to long-polling in the middle of a stroke loses and repeats nothing', async (after) => {
  const server = await start(after), ann = await visit(after, server, 'Ann'), bob = await visit(after, server, 'Bob');
  await transport(ann, 'websocket');
  await draw(ann, 0.3, async () => { await press(ann, 'longpoll'); await transport(ann, 'longpoll'); });
  await draw(bob, 0.5);
  await draw(ann, 0.7, () => press(ann, 'longpoll'));
  await agree(ann, bob);
  await transport(ann, 'websocket');
  await nothingLost(ann, bob);
  assert.ok((await stats(ann)).switches >= 2);
  await until('the page shows its transport', async () => (await at(ann, 'transport').innerText()) === 'WebSocket');
});

test('the front page: a connection cut in the middle of a stroke loses and repeats nothing', async (after) => {
  const server = await start(after), ann = await visit(after, server, 'Ann'), bob = await visit(after, server, 'Bob');
  for (const [page, height] of [[ann, 0.2], [bob, 0.4], [ann, 0.6], [bob, 0.8]]) {
    await draw(page, height, () => Promise.all([press(ann, 'cut'), press(bob, 'cut')]));
  }
  await agree(ann, bob);
  await nothingLost(ann, bob);
});

for (const name of ['websocket', 'sse', 'stream', 'longpoll', 'jsonp']) {
  test(`the front page: over ${name} alone everything arrives`, async (after) => {
    const server = await start(after), ann = await visit(after, server, 'Ann', DESKTOP, '&transports=' + name), bob = await visit(after, server, 'Bob');
    await transport(ann, name);
    await draw(ann, 0.3);
    await draw(bob, 0.6);
    await agree(ann, bob);
    await nothingLost(ann, bob);
  });
}

test('the front page: a message published by curl is shown to everyone', async (after) => {
  const server = await start(after), pages = [await visit(after, server, 'Ann'), await visit(after, server, 'Bob', PHONE)];
  const { stdout } = spawnSync('curl', ['-sS', '-d', 'hello from curl', `http://${server.internal}/api/publish/demo/chat`], { encoding: 'utf8' });
  assert.equal(JSON.parse(stdout).subscribers, 2);
  for (const page of pages) await said(page, 'hello from curl');
  await draw(pages[0], 0.4);
  await agree(...pages);
  await nothingLost(...pages);
  await screenshot(pages[1], 'whiteboard-phone');
});

test('the front page: on a phone nothing is wider than the screen', async (after) => {
  const page = await visit(after, await start(after), 'Ann', PHONE);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  for (const id of ['canvas', 'chat-input', 'chat-send', 'cut', 'longpoll', 'name']) assert.ok(await at(page, id).isVisible(), id);
});
