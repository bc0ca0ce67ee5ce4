// The front page, as a test has it before it: visited under a name, drawn on, and asked what it has.
'use strict';

const { until, assert } = require('./harness.js');
const { serve } = require('./server.js');
const { page: open } = require('./chromium.js');

const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

async function start(after, ...flags) {
  const server = await serve(...flags);
  after(server.stop);
  return server;
}

/** The front page, connected under a name; calls are answered in order, so the page's subscriptions stand too. */
async function visit(after, server, name, options = DESKTOP, query = '') {
  const page = await open(after, options);
  // Not until 'load': with JSONP a script is always loading.
  await page.goto(`${server.url}/?name=${name}${query}`, { waitUntil: 'domcontentloaded' });
  await connected(page, name);
  return page;
}

async function connected(page, name) {
  await until(`${name} is connected`, () => page.evaluate(() => demo.state === 'connected' && demo.revolved.csp.transport));
  await page.evaluate(() => demo.revolved.subscribe('demo/board/tests'));
}

const at = (page, id) => page.locator(`[data-testid=${id}]`);
const strokes = (page) => page.evaluate(() => demo.strokes);
const stats = (page) => page.evaluate(() => ({ ...demo.stats }));
const said = (page, text) => until(`“${text}” is said`, async () => (await at(page, 'chat-log').innerText()).includes(text));
const press = (page, id) => page.evaluate((id) => document.querySelector(`[data-testid=${id}]`).click(), id);
const transport = (page, name) => until(`the transport is ${name}`, () => page.evaluate((name) => demo.revolved.csp.transport === name, name));

/** One stroke across the board at a height from 0 to 1; in its middle `inBetween` happens. */
async function draw(page, height, inBetween = async () => {}) {
  const box = await at(page, 'canvas').boundingBox(), y = box.y + box.height * height;
  await page.mouse.move(box.x + box.width * 0.1, y);
  await page.mouse.down();
  for (let step = 1; step <= 40; step++) {
    await page.mouse.move(box.x + box.width * (0.1 + step * 0.02), y + Math.sin(step / 3) * box.height * 0.08);
    if (step === 20) await inBetween();
  }
  await page.mouse.up();
}

/** Pixels of the board that are painted. */
const painted = (page) => page.evaluate(() => {
  const canvas = document.querySelector('[data-testid=canvas]');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, i) => i % 4 === 3 && value).length;
});

async function agree(...pages) {
  await until('every page has every stroke', async () => {
    const counts = await Promise.all(pages.map(strokes));
    return counts[0] > 0 && counts.every((count) => count === counts[0]);
  });
}

async function nothingLost(...pages) {
  for (const page of pages) {
    const { lost, repeated, received } = await stats(page);
    assert.deepEqual({ lost, repeated }, { lost: 0, repeated: 0 });
    assert.ok(received > 0);
    assert.equal(await at(page, 'lost').innerText(), '0');
    assert.equal(await at(page, 'repeated').innerText(), '0');
    assert.deepEqual(page.errors, []);
  }
}

module.exports = { DESKTOP, PHONE, start, visit, connected, at, strokes, stats, said, press, transport, draw, painted, agree, nothingLost };
