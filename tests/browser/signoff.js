// The page of sign-offs, and the application that it shows.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');
const { test, until, assert } = require('../interop/lib/harness.js');
const { serve, top } = require('../interop/lib/server.js');
const { page: open, screenshot } = require('../interop/lib/chromium.js');

const DESKTOP = { viewport: { width: 1200, height: 760 } }, PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };

/** The application; its port. */
function application(after) {
  const child = spawn('python3', [path.join(top, 'tests/demo_app.py'), '0']);
  after(() => child.kill());
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    let said = '';
    child.stdout.on('data', (data) => {
      const ready = /^ready (\d+)\n/.exec(said += data);
      if (ready) resolve(ready[1]);
    });
  });
}

async function start(after, port) {
  const flags = port ? ['--callback', `http://127.0.0.1:${port}/orbited events=signon,signoff`] : [];
  const server = await serve('--session-timeout', '1s', '--node-name', 'web1', ...flags);
  after(server.stop);
  return server;
}

async function visit(after, server, port, options) {
  const page = await open(after, options);
  await page.goto(`${server.url}/demos/signoff.html?app=${port}`);
  await until('the client is here', async () => (await text(page, 'state')).startsWith('here'));
  return page;
}

const at = (page, id) => page.getByTestId(id);
const text = (page, id) => at(page, id).innerText();
const items = (page, id) => at(page, id).locator('li').allInnerTexts();
const acked = (page) => at(page, 'got').locator('.has').count();

async function send(page, many) {
  for (let n = 0; n < many; n++) await at(page, 'send').click();
}

for (const [name, options] of [['desktop', DESKTOP], ['phone', PHONE]]) {
  test(`the page of sign-offs: on a ${name} the application is told what a client that was cut off never got`, async (after) => {
    const port = await application(after), page = await visit(after, await start(after, port), port, options);
    await send(page, 2);
    await until('both are acknowledged', async () => await acked(page) === 2);
    await at(page, 'mute').click();
    await send(page, 1);
    await until('one is not', async () => (await text(page, 'state')).startsWith('silent'));
    await at(page, 'cut').click();
    await send(page, 2);
    await until('the sign-off', async () => (await items(page, 'told')).length === 5);
    const told = await items(page, 'told');
    assert.equal(told[0], 'signon of the client (csp, web1)');
    assert.equal(told[1], 'signoff of the client, timeout, 3 not delivered (csp-longpoll, web1)');
    assert.deepEqual(told.slice(2).map((line) => line.split(': ')[1]), ['message 3', 'message 4', 'message 5']);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await screenshot(page, 'signoff-' + name);
    assert.deepEqual(page.errors, []);
  });
}

test('the page of sign-offs: who says goodbye leaves nothing, and another can begin', async (after) => {
  const port = await application(after), page = await visit(after, await start(after, port), port, DESKTOP);
  await send(page, 1);
  await until('it is acknowledged', async () => await acked(page) === 1);
  await at(page, 'close').click();
  await until('the sign-off', async () => (await items(page, 'told')).includes('signoff of the client, clean, 0 not delivered (csp-longpoll, web1)'));
  await at(page, 'again').click();
  await until('another is here', async () => (await items(page, 'told')).length === 3);
  assert.deepEqual(await items(page, 'got'), []);
});

test('the page of sign-offs: without an application it says how to start one', async (after) => {
  const page = await visit(after, await start(after), 1, PHONE);
  await at(page, 'how').waitFor();
  await send(page, 1);
  await until('it is acknowledged', async () => await acked(page) === 1);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await screenshot(page, 'signoff-alone');
});
