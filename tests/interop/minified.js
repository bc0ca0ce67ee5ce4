// CSP.min.js is CSP.js made small, and no older. `node tests/interop/minified.js --write` makes it anew.
'use strict';

const fs = require('node:fs');
const zlib = require('node:zlib');
const { minify } = require('terser');
const { test, assert } = require('./lib/harness.js');
const { top } = require('./lib/server.js');

const SOURCE = top + '/static/CSP.js', SMALL = top + '/static/CSP.min.js';
const BYTES_MAX = 6 * 1024;
// Names that begin with an underscore are the session's own: no caller may use them.
const OPTIONS = { ecma: 2020, compress: { passes: 3, ecma: 2020 }, mangle: { properties: { regex: /^_/ } }, format: { comments: false, preamble: '/* CSP.js, made small: /_/CSP.js is the readable one. */' } };

const small = async () => (await minify(fs.readFileSync(SOURCE, 'utf8'), OPTIONS)).code + '\n';

if (process.argv.includes('--write')) {
  small().then((code) => fs.writeFileSync(SMALL, code));
} else {
  test('CSP.min.js is made of this CSP.js', async () => {
    assert.equal(fs.readFileSync(SMALL, 'utf8'), await small(), 'make it anew: node tests/interop/minified.js --write');
  });

  test('CSP.min.js has at most 6 KiB when compressed', () => {
    const bytes = zlib.gzipSync(fs.readFileSync(SMALL), { level: 9 }).length;
    console.log(`       ${bytes} bytes`);
    assert.ok(bytes <= BYTES_MAX, `${bytes} bytes`);
  });
}
