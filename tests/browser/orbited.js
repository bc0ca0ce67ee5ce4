// Orbited.js in Chromium: what an application of 2008 sends by OP is on the page.
'use strict';

const net = require('node:net');
const { test, until, assert } = require('../interop/lib/harness.js');
const { serve, files, proxy } = require('../interop/lib/server.js');
const { page: open } = require('../interop/lib/chromium.js');

/** Sends `body` to a recipient as pyorbited did, and resolves to the answer. */
function send(server, recipient, body) {
  const [host, port] = server.op.split(':');
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, host, () => {
      socket.end(`Orbit 1.0\r\nEvent\r\nid: 1\r\nrecipient: ${recipient}\r\nlength: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    });
    let said = '';
    socket.on('data', (data) => { said += data; }).on('end', () => resolve(said)).on('error', reject);
  });
}

const SUCCESS = 'Success\r\nid: 1\r\n\r\n';

for (const transport of ['xhr_stream', 'server_sent_events', undefined]) {
  test(`Orbited.js in Chromium: a page of another origin shows what it is sent, by ${transport || 'what it chooses'}, and again behind a cut`, async (after) => {
    const server = await serve(), between = await proxy(server.port), page = await open(after);
    const site = await files({ '/': `<!doctype html><title>0.3</title><script src="${between.url}/_/static/orbited.js"></script>` });
    for (const stop of [site.close, between.close, server.stop]) after(stop);
    await page.goto(site.url + '/');
    await page.evaluate((transport) => {
      window.got = [];
      window.connection = Orbited.connect((data) => got.push(data), 'ann', '/chat', '7', transport);
    }, transport);
    const arrives = (body) => until(`${body} is sent`, async () => await send(server, 'ann, 7, /chat', body) === SUCCESS);
    const got = () => page.evaluate(() => got);
    await arrives('{"a": [1, 2, "é"]}');
    await arrives('hello');
    await until('both are there', async () => (await got()).length === 2);
    between.cut();
    await until('the page is away', async () => await send(server, 'ann, 7, /chat', '0') !== SUCCESS || (await got()).includes(0));
    await arrives('3');
    await until('the third is there', async () => (await got()).includes(3));
    assert.deepEqual((await got()).filter((data) => data !== 0), [{ a: [1, 2, 'é'] }, 'hello', 3]);
    await page.evaluate(() => connection.close());
    await until('nobody is there', async () => /^Failure\r\n/.test(await send(server, 'ann, 7, /chat', '4')));
    assert.deepEqual(page.errors, []);
  });
}
