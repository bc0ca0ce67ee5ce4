// The page with CometD's own client in Chromium, beside the front page: they share the chat and what is drawn.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { test, until, assert } = require('../interop/lib/harness.js');
const { top } = require('../interop/lib/server.js');
const { page: open, screenshot } = require('../interop/lib/chromium.js');
const { DESKTOP, PHONE, start, visit, at, said, painted, draw, nothingLost } = require('../interop/lib/board.js');

const PAGE = '/demos/cometd.html';
const EACH = 3;      // its name, the chat, the board

/** A server to which npm's cometd was added, as the page says. */
async function withLibrary(after) {
  const pages = fs.mkdtempSync(path.join(os.tmpdir(), 'pages-'));
  after(() => fs.rmSync(pages, { recursive: true }));
  fs.cpSync(path.join(top, 'tests/interop/node_modules/cometd'), path.join(pages, 'node_modules/cometd'), { recursive: true });
  return start(after, '--static-dir', pages);
}

/** The page, connected under a name, with its subscriptions. */
async function comet(after, server, name, options = DESKTOP, query = '') {
  const page = await open(after, options), before = await server.metric('orbited_subscriptions');
  await page.goto(`${server.url}${PAGE}?name=${name}${query}`);
  await until(`${name} is connected`, async () => (await at(page, 'state').innerText()) === 'connected');
  await until(`${name} has subscribed`, async () => await server.metric('orbited_subscriptions') >= before + EACH);
  return page;
}

async function say(page, text) {
  await at(page, 'chat-input').fill(text);
  await at(page, 'chat-send').click();
}

for (const transport of ['websocket', 'long-polling']) {
  test(`the page of CometD over ${transport}: it and the front page read each other's messages, once, and it shows what is drawn`, async (after) => {
    const server = await withLibrary(after), ann = await visit(after, server, 'Ann'), cyd = await comet(after, server, 'Cyd', DESKTOP, '&transports=' + transport);
    assert.equal(await cyd.evaluate(() => demo.client.getTransport().type), transport);
    await say(ann, 'hello é from Ann');
    await say(cyd, '<b>hi</b> from Cyd');
    spawnSync('curl', ['-sS', '-d', 'hello from curl', `http://${server.internal}/api/publish/demo/chat`]);
    for (const page of [ann, cyd]) for (const text of ['hello é from Ann', '<b>hi</b> from Cyd', 'hello from curl']) await said(page, text);
    assert.deepEqual((await cyd.evaluate(() => demo.chat)).map(({ name, text }) => `${name}: ${text}`).sort(), ['Ann: hello é from Ann', 'Cyd: <b>hi</b> from Cyd', 'server: hello from curl']);
    assert.deepEqual((await ann.evaluate(() => demo.chat)).map(({ sender, text }) => `${sender}: ${text}`).sort(), ['Ann: hello é from Ann', 'Cyd: <b>hi</b> from Cyd', 'server: hello from curl']);
    await draw(ann, 0.3);
    await draw(ann, 0.6);
    await until('every piece', async () => await ann.evaluate(() => demo.strokes) === await cyd.evaluate(() => demo.pieces.length));
    assert.ok(await painted(cyd) > 1000);
    await nothingLost(ann);
    assert.deepEqual(cyd.errors, []);
    await screenshot(cyd, 'cometd-' + transport);
  });
}

test('the page of CometD: it changes to long-polling and back, and goes on hearing', async (after) => {
  const server = await withLibrary(after), cyd = await comet(after, server, 'Cyd'), dan = await comet(after, server, 'Dan');
  for (const [round, type] of [[2, 'long-polling'], [3, 'WebSocket']]) {
    await at(cyd, 'longpoll').click();
    await until(type, async () => (await at(cyd, 'transport').innerText()) === type && await cyd.evaluate(() => demo.counts.handshakes) === round);
    await until('the subscriptions', async () => await server.metric('orbited_subscriptions') === 2 * EACH);
    await say(dan, 'by ' + type);
    await said(cyd, 'by ' + type);
  }
  assert.deepEqual((await cyd.evaluate(() => demo.chat)).map(({ text }) => text), ['by long-polling', 'by WebSocket']);
});

test('the page of CometD: on a phone nothing is wider than the screen', async (after) => {
  const server = await withLibrary(after), page = await comet(after, server, 'Cyd', PHONE);
  await say(page, 'a word as long as'.replaceAll(' ', '').repeat(8));
  await said(page, 'aword');
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  for (const id of ['canvas', 'chat-input', 'chat-send', 'longpoll', 'name']) assert.ok(await at(page, id).isVisible(), id);
  await screenshot(page, 'cometd-phone');
});

test('the page of CometD: without the library it says how to get it', async (after) => {
  const server = await start(after), page = await open(after);
  await page.goto(server.url + PAGE);
  await said(page, '/node_modules/cometd/cometd.js is not there');
  assert.ok(await at(page, 'chat-input').isDisabled());
  assert.deepEqual(page.errors, []);
});
