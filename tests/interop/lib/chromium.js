// Debian's Chromium, driven by playwright-core.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { chromium } = require('playwright-core');
const { top } = require('./server.js');

const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const OUT = path.join(top, 'tests/out');

let launched = null;

/** A page of its own context; errors that nothing in it caught are kept in `page.errors`. */
async function page(after, options = {}) {
  launched ||= chromium.launch({ executablePath: process.env.ORB_TEST_CHROMIUM || '/usr/bin/chromium', args: ARGS });
  const context = await (await launched).newContext(options);
  after(() => context.close());
  const page = await context.newPage();
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(String(error)));
  return page;
}

/** Saves what a page looks like under `tests/out/`. */
async function screenshot(page, name) {
  fs.mkdirSync(OUT, { recursive: true });
  await page.screenshot({ path: path.join(OUT, name + '.png') });
}

module.exports = { page, screenshot };
