// Debian's rabbitmq-server with STOMP, in a folder of its own and on free ports; its epmd is one of our own too.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { until } = require('./harness.js');

const SCRIPT = '/usr/lib/rabbitmq/bin/rabbitmq-server';     // the one in sbin is this one behind su
const READY_MS = 60000;

/** So many ports that are free now; each is asked for before one is let go. */
async function ports(count) {
  const listeners = await Promise.all(Array.from({ length: count }, () => new Promise((resolve) => {
    const listener = net.createServer().listen(0, '127.0.0.1', () => resolve(listener));
  })));
  const taken = listeners.map((listener) => listener.address().port);
  await Promise.all(listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  return taken;
}

const config = (stomp, web) => `
listeners.tcp = none
stomp.listeners.tcp.1 = 127.0.0.1:${stomp}
stomp.default_user = guest
stomp.default_pass = guest
web_stomp.tcp.ip = 127.0.0.1
web_stomp.tcp.port = ${web}
log.console = true
log.file = false
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
`;

/** A child in a process group of its own, which is killed if we end before it. */
function child(command, args, env) {
  const started = spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] }), self = { said: '', status: null };
  const kill = (signal) => { try { process.kill(-started.pid, signal); } catch { /* it is gone */ } };
  const last = () => kill('SIGKILL');
  process.on('exit', last);
  self.gone = new Promise((resolve) => {
    started.on('error', (error) => resolve(error.message)).on('exit', (code, signal) => resolve(signal || code));
  }).then((status) => { self.status = status; process.off('exit', last); });
  for (const pipe of [started.stdout, started.stderr]) pipe.on('data', (data) => { self.said = (self.said + data).slice(-200000); });
  self.stop = async () => { kill('SIGTERM'); await self.gone; };
  return self;
}

/** Resolves to `{ stomp, web, version, stop }` when it serves: the addresses of STOMP over TCP and of its WebSocket, and which RabbitMQ it is. */
async function rabbitmq() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rabbitmq-')), [stomp, web, dist, names] = await ports(4);
  fs.writeFileSync(folder + '/rabbitmq.conf', config(stomp, web));
  fs.writeFileSync(folder + '/enabled_plugins', '[rabbitmq_stomp,rabbitmq_web_stomp].\n');
  const env = {
    PATH: process.env.PATH, LANG: 'C.UTF-8', HOME: folder, ERL_EPMD_ADDRESS: '127.0.0.1', ERL_EPMD_PORT: String(names),
    RABBITMQ_NODENAME: 'test@localhost', RABBITMQ_CONFIG_FILE: folder + '/rabbitmq.conf', RABBITMQ_ENABLED_PLUGINS_FILE: folder + '/enabled_plugins',
    RABBITMQ_MNESIA_BASE: folder + '/mnesia', RABBITMQ_LOG_BASE: folder + '/log', RABBITMQ_DIST_PORT: String(dist), RABBITMQ_PID_FILE: folder + '/pid',
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none',
  };
  const epmd = child('epmd', [], env), server = child(SCRIPT, [], env);
  const stop = async () => {
    await server.stop();
    await epmd.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until('RabbitMQ serves', () => {
      if (server.status !== null) throw new Error(`RabbitMQ ended with ${server.status}:\n${server.said}`);
      return server.said.includes('Server startup complete');
    }, READY_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  return { stomp: `127.0.0.1:${stomp}`, web: `ws://127.0.0.1:${web}/ws`, version: /RabbitMQ (\d[\d.]*)/.exec(server.said)?.[1], stop };
}

module.exports = { rabbitmq };
