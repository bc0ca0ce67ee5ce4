// Chromium behind a proxy that cuts, stalls, swallows and refuses: the front page loses nothing, and CSP.js finds a
// transport that works whatever is blocked.
'use strict';

const { test, until, lines, assert } = require('../interop/lib/harness.js');
const { serve } = require('../interop/lib/server.js');
const { chaos } = require('../interop/lib/chaos.js');
const { Dice, SEED } = require('../interop/lib/dice.js');
const { page: open, screenshot } = require('../interop/lib/chromium.js');

const ROUNDS = process.env.ORB_LONG ? 30 : 12;      // strokes of each of the two
const USABLE_MS = 3000, ATTEMPTS = 3;               // the best of so many: a busy machine is not the client's fault
const TRANSPORTS = ['websocket', 'sse', 'stream', 'longpoll', 'jsonp'];

const WEATHERS = [
  { cut: 0.5, refuse: 0.05 },
  { stall: 0.4, delay: 0.3 },
  { swallow: 0.05, cut: 0.1 },
  { upgradeRefuse: 0.3, upgradeStrip: 0.2, upgradeSwallow: 0.2, buffer: 0.3 },
  { dribble: 0.3, delay: 0.3, cut: 0.1 },
  { cutAfter: 1024 },
];

async function start(after) {
  const server = await serve(), proxy = await chaos(server.port);
  after(server.stop);
  after(proxy.close);
  return { server, proxy };
}

// The front page.

async function visit(after, proxy, name) {
  const page = await open(after, { viewport: { width: 1280, height: 800 } });
  await page.goto(`${proxy.url}/?name=${name}`, { waitUntil: 'domcontentloaded' });
  await until(`${name} is connected`, () => page.evaluate(() => demo.state === 'connected' && demo.revolved.csp.transport));
  await page.evaluate(() => demo.revolved.subscribe('demo/board/tests'));
  return page;
}

const at = (page, id) => page.locator(`[data-testid=${id}]`);
const strokes = (page) => page.evaluate(() => demo.strokes);

/** A wave across the board, while the page changes its transport again and again. */
async function draw(page, height, dice) {
  const box = await at(page, 'canvas').boundingBox(), y = box.y + box.height * height;
  const to = (step) => page.mouse.move(box.x + box.width * (0.05 + step * 0.015), y + Math.sin(step / 4 + height * 20) * box.height * 0.04);
  await to(0);
  await page.mouse.down();
  for (let step = 1; step <= 60; step++) {
    await to(step);
    if (step % 10 === 0) await page.evaluate((order) => demo.revolved.switchTo(order), dice.shuffle(TRANSPORTS));
    await new Promise((resolve) => setTimeout(resolve, dice.between(1, 25)));
  }
  await page.mouse.up();
}

test('the front page in chaos: what two people draw arrives once, all of it, and the page says so', async (after) => {
  const { server, proxy } = await start(after), pages = [await visit(after, proxy, 'Ann'), await visit(after, proxy, 'Bob')], dice = new Dice(3e6);
  for (let round = 0; round < ROUNDS; round++) {
    proxy.set(WEATHERS[round % WEATHERS.length]);
    await Promise.all(pages.map((page, n) => draw(page, 0.06 + (round % 12 + n / 2) * 0.075, new Dice(4e6 + 2 * round + n))));
  }
  proxy.calm();
  for (const page of pages) await page.evaluate((order) => demo.revolved.switchTo(order), TRANSPORTS);
  await until('everything written has arrived', async () => (await Promise.all(pages.map((page) => page.evaluate(() => demo.revolved.csp.bufferedAmount)))).every((left) => left === 0));
  await until('every page has every stroke', async () => { const [a, b] = await Promise.all(pages.map(strokes)); return a === b; });
  for (const page of pages) {
    const seen = await page.evaluate(() => ({ ...demo.stats, strokes: demo.strokes, transport: demo.revolved.csp.transport }));
    console.log(`       ${JSON.stringify(seen)}`);
    assert.deepEqual([seen.lost, seen.repeated], [0, 0]);
    assert.deepEqual([await at(page, 'lost').innerText(), await at(page, 'repeated').innerText()], ['0', '0']);
    assert.ok(seen.received > ROUNDS && seen.switches > ROUNDS);
    assert.deepEqual(page.errors, []);
  }
  console.log(`       ORB_CHAOS_SEED=${SEED}, faults: ${Object.entries(proxy.counts).map(([fault, n]) => `${fault} ${n}`).join(', ')}`);
  assert.equal(await server.metric('orbited_signons_total'), 2, 'no session died');
  await screenshot(pages[0], 'whiteboard-chaos');
});

// Finding a transport.

/** A page without a script of its own, from the same origin; what it was loaded by is gone. */
async function blank(after, proxy, settings) {
  const page = await open(after);
  await page.goto(proxy.url + '/_/CSP.js');
  await page.addScriptTag({ url: '/_/CSP.js' });
  proxy.set(settings);
  proxy.cut();
  await until('no connection is left', () => !proxy.pairs.size);
  return page;
}

/** In the page: from connect() to the first echo, then until all lines have come back. */
function converse(all) {
  const session = new CSP.CometSession(), begun = performance.now(), found = { got: '', ms: null, transport: '', reason: '' };
  return new Promise((resolve) => {
    const finish = () => { resolve({ ...found, stats: session.stats }); session.close(); };
    const late = setTimeout(finish, 75000);
    session.onopen = () => session.write(all[0]);
    session.onclose = (reason, detail) => { clearTimeout(late); found.reason ||= `${reason} ${detail}`; finish(); };
    session.onread = (text) => {
      if (found.ms == null) {
        Object.assign(found, { ms: Math.round(performance.now() - begun), transport: session.transport });
        all.slice(1).forEach((line, n) => setTimeout(() => session.write(line), n * 15));
      }
      found.got += text;
      if (found.got.length >= all.join('').length) { clearTimeout(late); finish(); }
    };
    session.connect('/_/echo/csp');
  });
}

const BLOCKED = {
  'nothing is in the way': {},
  'WebSocket is refused with 400': { upgradeRefuse: 1 },
  'the upgrade is swallowed': { upgradeSwallow: 1 },
  'the Upgrade header is stripped': { upgradeStrip: 1 },
  'answers are held back until they end': { buffer: 1 },
  'WebSocket is refused and answers are held back until they end': { upgradeRefuse: 1, buffer: 1 },
  'the upgrade is swallowed and answers are held back until they end': { upgradeSwallow: 1, buffer: 1 },
  'every connection is cut after 1 KB': { cutAfter: 1024 },
  'WebSocket is refused and every connection is cut after 1 KB': { upgradeRefuse: 1, cutAfter: 1024 },
};

for (const [what, settings] of Object.entries(BLOCKED)) {
  test(`CSP.js in Chromium when ${what}: a usable transport within 3 s, and then nothing is lost`, async (after) => {
    const { proxy } = await start(after), all = lines(1, 100), times = [];
    while (times.length < ATTEMPTS && !times.some((ms) => ms <= USABLE_MS)) {
      proxy.set({});
      const page = await blank(after, proxy, settings), { got, ms, transport, reason, stats } = await page.evaluate(converse, all);
      console.log(`       ${what}: ${ms} ms to the first echo, by ${transport}`);
      assert.deepEqual({ reason, lost: stats.lost, repeated: stats.repeated }, { reason: '', lost: 0, repeated: 0 });
      assert.equal(got, all.join(''));
      assert.deepEqual(page.errors, []);
      times.push(ms);
    }
    assert.deepEqual(Object.keys(settings).filter((fault) => !proxy.counts[fault]), []);
    assert.ok(Math.min(...times) <= USABLE_MS, `the best of ${times} ms`);
  });
}
