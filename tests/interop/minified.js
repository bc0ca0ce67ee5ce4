// CSP.min.js is CSP.js made small, and no older. `node tests/interop/minified.js --write` makes it anew.
'use strict';

const fs = require('node:fs');
const zlib = require('node:zlib');
const { minify } = require('terser');
const { test, assert } = require('./lib/harness.js');
const { top } = require('./lib/server.js');

const SOURCE = top + '/static/CSP.js', SMALL = top + '/static/CSP.min.js';
const BYTES_MAX = 6 * 1024;
// Names that begin with an underscore are the session's own, the others a link's: no caller may use them. Some are also
// names in a browser, but of things that CSP.js has nothing to do with.
const PROPERTIES = /^(_.*|live|age|born|name|socket|timer|takes|proven|fruitful|packets|refused|watch|streams|opened|ended|rest|sent|drop|stop)$/;
const COMPRESS = { passes: 5, ecma: 2020, unsafe: true, unsafe_arrows: true, unsafe_methods: true, keep_fargs: false, pure_getters: true };
const OPTIONS = { ecma: 2020, compress: COMPRESS, mangle: { properties: { regex: PROPERTIES, builtins: true } }, format: { comments: false } };

// Strict or not, it does the same.
const small = async () => (await minify(fs.readFileSync(SOURCE, 'utf8').replace("'use strict';", ''), OPTIONS)).code;

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
