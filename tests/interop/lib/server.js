// The server under test, and what stands between it and a client.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');

const top = path.resolve(__dirname, '../../..');
const binary = process.env.ORB_TEST_BINARY || path.join(top, 'target/release/orbited');
const running = new Set();

process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => process.exit(1));

/** Starts a server on free ports; resolves when it is ready. */
async function serve(...flags) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('ORBITED_'));
  const child = spawn(binary, ['--listen', '127.0.0.1:0', '--internal', '127.0.0.1:0', '--op', '127.0.0.1:0', '--stomp', '127.0.0.1:0', ...flags], { env: Object.fromEntries(kept) });
  let said = '', log = '';
  child.stderr.on('data', (data) => { log = (log + data).slice(-4000); });
  const exited = new Promise((resolve) => child.on('exit', (code, signal) => resolve(signal || code)));
  running.add(child);
  exited.then(() => running.delete(child));
  const ready = new Promise((resolve) => child.stdout.on('data', (data) => {
    const line = /^ready http=(\S+) internal=(\S+) op=(\S+) stomp=(\S+)/m.exec(said += data);
    if (line) resolve(line);
  }));
  const failed = new Promise((_, reject) => {
    child.on('error', (error) => reject(new Error(`${binary} does not start: ${error.message}`)));
    exited.then((status) => reject(new Error(`the server ended with ${status}: ${log}`)));
  });
  failed.catch(() => {});
  const [, address, internal, op, stomp] = await Promise.race([ready, failed]);
  return {
    address, internal, op, stomp, url: `http://${address}`, port: Number(address.split(':').pop()), said: () => said, log: () => log,
    /** One sample of /metrics, or the sum of those of a name. */
    async metric(sample) {
      const text = await (await fetch(`http://${internal}/metrics`)).text();
      const found = text.split('\n').filter((line) => line.startsWith(sample + ' ') || line.startsWith(sample + '{'));
      return found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    },
    /** As an operator in a hurry does; a status other than 0 is an error. */
    async stop() {
      child.kill('SIGTERM');
      child.kill('SIGINT');
      const late = setTimeout(() => child.kill('SIGKILL'), 20000);
      const status = await exited;
      clearTimeout(late);
      if (status !== 0) throw new Error(`the server was told to stop and ended with ${status}: ${log}`);
    },
  };
}

/** A TCP proxy to `port` that can cut what it carries, refuse, and be pointed elsewhere. */
async function proxy(port) {
  const pairs = new Set();
  const listener = net.createServer((client) => {
    if (!self.target) return client.destroy();
    self.accepted++;
    const server = net.connect(self.target, '127.0.0.1'), pair = [client, server];
    pairs.add(pair);
    const drop = () => { pairs.delete(pair); pair.forEach((socket) => socket.destroy()); };
    pair.forEach((socket) => { socket.setNoDelay(true); socket.on('error', drop).on('close', drop); });
    client.pipe(server).pipe(client);
  });
  const self = {
    target: port, accepted: 0,
    /** Resets every connection. */
    cut() { [...pairs].flat().forEach((socket) => socket.resetAndDestroy()); },
    close: () => { self.cut(); listener.close(); },
  };
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  self.url = `http://127.0.0.1:${listener.address().port}`;
  return self;
}

const TYPES = { '.html': 'text/html', '.js': 'text/javascript' };

/** Serves folders, `{'/jsio': '/path'}`, and texts, `{'/': '<html>'}`; for pages on another port than the server's. */
async function files(mounts) {
  const texts = Object.fromEntries(Object.entries(mounts).filter(([, text]) => text.startsWith('<')));
  const listener = http.createServer((request, response) => {
    const url = request.url.split('?')[0], mount = Object.keys(mounts).find((name) => name !== '/' && url.startsWith(name + '/'));
    const file = mount && path.join(mounts[mount], path.normalize(url.slice(mount.length)));
    const body = texts[url] || (file && fs.existsSync(file) && fs.statSync(file).isFile() && fs.readFileSync(file));
    response.writeHead(body ? 200 : 404, { 'Content-Type': TYPES[path.extname(url)] || 'text/html' }).end(body || '');
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${listener.address().port}`, close: () => listener.close() };
}

module.exports = { serve, proxy, files, top };
