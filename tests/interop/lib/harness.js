// A test is a sentence and a function. Tests run in order, each ends with one line: `ok`, or `FAILED` and why.
'use strict';

const assert = require('node:assert/strict');

const TEST_MS = 90000;      // a test that hangs fails; nothing here measures time
const WAIT_MS = 30000;

const tests = [];
let current = null;

/** `body(after)`: what it gives to `after` runs when the test is over, the last first. */
function test(sentence, body) {
  if (!tests.length) setImmediate(runAll);
  tests.push({ sentence, body });
}

async function runAll() {
  const only = process.env.ORB_TEST_ONLY || '';
  for (const { sentence, body } of tests.filter((one) => one.sentence.includes(only))) {
    const cleanups = [];
    const error = await run(body, cleanups);
    if (error) process.exitCode = 1;
    console.log(error ? `FAILED ${sentence}\n       ${String(error.stack || error).replaceAll('\n', '\n       ')}` : `ok     ${sentence}`);
  }
  setImmediate(() => process.exit());
}

/** Gives back the first error of the test, of what it left running, or of its clean-up. */
async function run(body, cleanups) {
  let timer, failed = null;
  const fails = (error) => { failed ||= error || new Error('failed'); };
  const stopped = new Promise((resolve) => { current = (error) => { fails(error); resolve(); }; });
  const finished = Promise.resolve().then(() => body((cleanup) => cleanups.push(cleanup))).catch(fails);
  const late = new Promise((resolve) => { timer = setTimeout(() => { fails(new Error('hangs')); resolve(); }, TEST_MS); });
  await Promise.race([finished, stopped, late]);
  clearTimeout(timer);
  while (cleanups.length) await Promise.resolve().then(cleanups.pop()).catch(fails);
  current = null;
  return failed;
}

for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (error) => {
    if (current) return current(error);
    console.log(`could not run: ${error && error.stack || error}`);
    process.exit(1);
  });
}

/** Waits until `condition` gives something true, and gives that back. */
async function until(what, condition, ms = WAIT_MS) {
  for (const end = Date.now() + ms; ;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A promise of the first `name` event, with its arguments. */
function once(emitter, name) {
  return new Promise((resolve) => emitter.once(name, (...args) => resolve(args)));
}

/** Numbered lines: what is sent, or expected, when order and completeness count. */
const lines = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => `line ${from + i}\n`);

module.exports = { test, until, once, lines, assert };
