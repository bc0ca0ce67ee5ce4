// 200 sessions of our own CSP.js in node, each changing its transport 2 to 20 times a second, through a proxy that cuts,
// stalls, swallows, holds back and refuses: numbered messages both ways, and every one arrives once and in order.
//
// ORB_CHAOS_SECONDS: how long (60; 600 with ORB_LONG). ORB_CHAOS_SEED: the same faults again.
'use strict';

// In a browser an error of a WebSocket is only an event.
globalThis.WebSocket ||= class extends require('ws') {
  constructor(url) { super(url).on('error', () => {}); }
};
globalThis.EventSource ||= require('eventsource').EventSource;

const { test, assert } = require('./lib/harness.js');
const { serve, top } = require('./lib/server.js');
const { chaos } = require('./lib/chaos.js');
const { Dice, SEED } = require('./lib/dice.js');
const { CometSession } = require(top + '/static/CSP.js');

const SECONDS = Number(process.env.ORB_CHAOS_SECONDS) || (process.env.ORB_LONG ? 600 : 60);
const ECHOES = 120, LISTENERS = 80;               // sessions that write and read; sessions that only read
const MOVE_MS = [50, 500], WRITE_MS = [300, 1200], PUBLISH_MS = 200, LATE_MS = 100;
const WEATHER_MS = Math.min(4000, SECONDS * 1000 / 7);
const SETTLE_S = 60, EMPTY_S = 90;                // a session whose handshake was swallowed is gone after its 60 s
const TRANSPORTS = ['websocket', 'sse', 'stream', 'longpoll'];
const FAULTS = ['refuse', 'cut', 'FIN', 'RST', 'cutAfter', 'stall', 'both ways', 'one way', 'delay', 'dribble', 'swallow', 'buffer', 'forget', 'upgradeRefuse', 'upgradeStrip', 'upgradeSwallow'];

/** What the network is like, for a while each; all of them come in any run. */
const WEATHERS = {
  cuts: { cut: 0.5, refuse: 0.05 },
  stalls: { stall: 0.4, delay: 0.3 },
  'lost answers': { swallow: 0.06, cut: 0.1, forget: 0.2 },
  'bad proxies': { upgradeRefuse: 0.3, upgradeStrip: 0.2, upgradeSwallow: 0.2, buffer: 0.3 },
  dribble: { dribble: 0.3, delay: 0.3, cut: 0.1 },
  'cut after 1 KB': { cutAfter: 1024 },
  everything: { cut: 0.15, refuse: 0.02, stall: 0.1, delay: 0.1, dribble: 0.05, swallow: 0.02, buffer: 0.05, forget: 0.1, upgradeRefuse: 0.1, upgradeStrip: 0.05, upgradeSwallow: 0.05 },
};

// CSP.js draws its pauses from here.
const pauses = new Dice(3e6);
Math.random = () => pauses.next();

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Message `n`: its length is part of what is checked; some are cut over packets, within characters of many bytes. */
const message = (n) => `${n}:${'é€😀x'.repeat(n % 40 ? n % 7 : 900)}`;

/** Reads numbered lines and finds what is wrong with them. */
class Reader {
  constructor() { Object.assign(this, { text: '', seen: new Set(), first: null, last: 0, repeated: 0, reordered: 0, garbled: [] }); }

  read(text) {
    const lines = (this.text + text).split('\n');
    this.text = lines.pop();
    lines.forEach((line) => this.line(line));
  }

  number(n) {
    if (this.seen.has(n)) this.repeated++;
    else if (n < this.last) this.reordered++;
    this.seen.add(n);
    this.last = Math.max(this.last, n);
  }

  /** How many of those from `first` to `last` never came. */
  lost(first, last) {
    let lost = 0;
    for (let n = first; n <= last; n++) if (!this.seen.has(n)) lost++;
    return lost;
  }
}

/** What all clients have in common: they open however long it takes, and from then on must not die. */
class Client extends Reader {
  constructor(n, base) {
    super();
    Object.assign(this, { n, base, dice: new Dice(1e6 + n), open: false, reason: null, detail: '', given_up: 0, moves: 0 });
  }

  begin() {
    const session = this.session = new CometSession();
    session.onopen = () => { this.open = true; this.opened(); };
    session.onread = (text) => this.read(text);
    session.onclose = (reason, detail) => {
      // Nothing is lost by a handshake that found no answer in 10 s: there was no session yet.
      if (!this.open && reason === 'unreachable') { this.given_up++; return this.begin(); }
      Object.assign(this, { reason, detail });
    };
    session.connect(this.base, { transports: this.dice.shuffle(TRANSPORTS), duration: 10 });
  }

  /** To another transport: either to that alone, or to whichever works, beginning with that. Or once more to the same. */
  move() {
    const { session, dice } = this, to = dice.pick(TRANSPORTS.filter((name) => name !== session.transport));
    const rest = dice.shuffle(TRANSPORTS.filter((name) => name !== to)), [alone, again] = [dice.chance(0.5), dice.chance(0.1)];
    if (again) session.cut(); else session.switchTo(alone ? [to] : [to, ...rest]);
    if (this.open) this.moves++;
  }

  /** Moves until then; a machine that is behind is given less to do. */
  async wander(until) {
    while (Date.now() < until) {
      const ms = this.dice.between(...MOVE_MS), due = Date.now() + ms;
      await wait(ms);
      if (this.reason) return;
      if (Date.now() - due < LATE_MS) this.move();
    }
  }
}

/** Writes numbered messages to the echo, and reads them back. */
class Echo extends Client {
  constructor(n, url) {
    super(n, url + '/_/echo/csp');
    this.written = 0;
  }

  /** What was written to a session that never came to be is written again. */
  begin() {
    this.written = 0;
    super.begin();
  }

  opened() {}

  async talk(until) {
    while (Date.now() < until) {
      if (this.session.write(message(this.written + 1) + '\n')) this.written++;
      await wait(this.dice.between(...WRITE_MS));
    }
  }

  line(line) {
    const n = parseInt(line, 10);
    if (line === message(n)) this.number(n); else this.garbled.push(line.slice(0, 60));
  }

  get expected() { return [1, this.written]; }
}

/** Subscribes to a channel; every message after the one that the answer names must come. */
class Listener extends Client {
  constructor(n, url, channel) {
    super(n, url + '/_/revolved/csp');
    Object.assign(this, { channel, from: null });
  }

  opened() { this.session.write(JSON.stringify([1, 'SUBSCRIBE', [this.channel.name]]) + '\n'); }
  async talk() {}

  line(line) {
    let verb, args;
    try { [verb, args] = JSON.parse(line); } catch (e) { return this.garbled.push(line.slice(0, 60)); }
    if (verb === 'OK') this.from = args[1].offset;
    else if (verb === 'PUBLISH' && args[2] === message(args[3].offset)) this.number(args[3].offset);
    else this.garbled.push(line.slice(0, 60));
  }

  get expected() { return [(this.from ?? 0) + 1, this.channel.offset]; }
}

/** The application: publishes numbered messages, directly. Their numbers are the channel's offsets. */
async function publish(server, channel, until) {
  while (Date.now() < until) {
    const body = JSON.stringify(message(channel.offset + 1)), headers = { 'Content-Type': 'application/json' };
    if (channel.ready()) channel.offset = (await (await fetch(`http://${server.internal}/api/publish/${channel.name}`, { method: 'POST', body, headers })).json()).offset;
    await wait(PUBLISH_MS);
  }
}

async function weather(proxy, until) {
  const dice = new Dice(2e6);
  for (let left = []; Date.now() < until;) {
    if (!left.length) left = dice.shuffle(Object.keys(WEATHERS));
    proxy.set(WEATHERS[left.pop()]);
    await wait(Math.min(until - Date.now(), WEATHER_MS));
  }
  proxy.calm();
}

/** Waits, and says whether it came to be. */
async function comes(seconds, condition) {
  for (const end = Date.now() + seconds * 1000; ;) {
    if (await condition()) return true;
    if (Date.now() > end) return false;
    await wait(50);
  }
}

const sum = (list, value) => list.reduce((total, one) => total + value(one), 0);

async function run() {
  const server = await serve(), proxy = await chaos(server.port), end = Date.now() + SECONDS * 1000;
  const channel = { name: 'chaos', offset: 0, ready: () => listeners.some((one) => one.from != null) };
  const echoes = Array.from({ length: ECHOES }, (_, n) => new Echo(n, proxy.url));
  const listeners = Array.from({ length: LISTENERS }, (_, n) => new Listener(ECHOES + n, proxy.url, channel));
  const clients = [...echoes, ...listeners];
  console.log(`chaos: ${clients.length} sessions for ${SECONDS} s, ORB_CHAOS_SEED=${SEED}`);
  clients.forEach((client) => client.begin());
  await Promise.all([weather(proxy, end), publish(server, channel, end), ...clients.flatMap((client) => [client.wander(end), client.talk(end)])]);
  // What one transport left undone, another would do: so each keeps to one now.
  for (const client of clients) client.session.setTransports([client.session.transport || TRANSPORTS[client.n % TRANSPORTS.length]]);
  const settled = await comes(SETTLE_S, () => clients.every((client) => client.reason || (client.open && !client.session.bufferedAmount && !client.lost(...client.expected))));
  const died = clients.filter((client) => client.reason);
  clients.forEach((client) => client.session.close());
  await comes(SETTLE_S, () => clients.every((client) => client.reason));
  proxy.close();
  const found = { clients, echoes, listeners, channel, died, settled, counts: proxy.counts, ...await leftovers(server) };
  await server.stop();
  return found;
}

/** What the server still holds; the sessions that nobody knows the key of have to time out first. */
async function leftovers(server) {
  const tables = ['sessions', 'subscriptions', 'channels', 'queue_bytes', 'profiles'], left = {};
  await comes(EMPTY_S, async () => {
    for (const name of tables) left[name] = await server.metric('orbited_' + name);
    return tables.every((name) => !left[name]);
  });
  const signoffs = {};
  for (const reason of ['clean', 'closed', 'timeout', 'overflow', 'protocol', 'too-big', 'gone', 'shutdown']) {
    signoffs[reason] = await server.metric(`orbited_signoffs_total{reason="${reason}"}`);
  }
  return { left, signoffs, resent: await server.metric('orbited_resent_total'), signons: await server.metric('orbited_signons_total') };
}

function print({ clients, echoes, listeners, channel, counts, signoffs, signons, resent }) {
  const stat = (name) => sum(clients, (client) => client.session.stats[name]);
  const number = (n) => n.toLocaleString('en');
  const rows = {
    sessions: `${clients.length}, ${sum(clients, (client) => client.given_up)} handshakes begun anew; the server began ${signons}`,
    'messages up': number(sum(echoes, (echo) => echo.written)),
    'messages down': `${number(sum(echoes, (echo) => echo.seen.size))} echoed, ${number(sum(listeners, (one) => one.seen.size))} published (${channel.offset} to ${listeners.length})`,
    transports: `${number(sum(clients, (client) => client.moves))} moves asked for, ${number(stat('switches'))} switches seen through`,
    packets: `${number(stat('received'))} read, ${number(resent)} written again by the server, ${stat('repeated')} doubles dropped by the client`,
    'signed off': Object.entries(signoffs).filter(([, n]) => n).map(([reason, n]) => `${reason} ${n}`).join(', '),
    faults: Object.entries(counts).map(([fault, n]) => `${fault} ${number(n)}`).join(', '),
  };
  for (const [name, row] of Object.entries(rows)) console.log(`       ${name}: ${row}`);
}

/** Of which clients something is true: what it is, for the first few. */
const such = (clients, value) => clients.map((client) => [client.n, client.constructor.name, value(client)]).filter(([, , what]) => what).slice(0, 5);

run().then((found) => {
  print(found);
  const { clients, echoes, channel } = found, total = `${clients.length} sessions, ${SECONDS} s of chaos:`;
  test(`${total} none dies, and each opens`, () => {
    assert.deepEqual(such(found.died, ({ reason, detail }) => `${reason} ${detail}`), []);
    assert.deepEqual(such(clients, (client) => !client.open && 'never opened'), []);
  });
  test(`${total} lost 0`, () => {
    assert.deepEqual(such(clients, (client) => client.lost(...client.expected)), []);
    assert.deepEqual(such(clients, (client) => client.session.stats.lost), []);
    assert.ok(found.settled && channel.offset > SECONDS / 2 && sum(echoes, (echo) => echo.seen.size) > ECHOES * SECONDS / 4);
  });
  test(`${total} repeated 0`, () => assert.deepEqual(such(clients, (client) => client.repeated), []));
  test(`${total} reordered 0`, () => assert.deepEqual(such(clients, (client) => client.reordered), []));
  test(`${total} each message is whole`, () => assert.deepEqual(such(clients, (client) => client.garbled.length && client.garbled[0]), []));
  test(`${total} every kind of fault was made`, () => {
    assert.deepEqual(FAULTS.filter((fault) => !found.counts[fault]), []);
  });
  test(`${total} all close cleanly, and the server's tables are empty`, () => {
    assert.deepEqual(such(clients, ({ reason }) => reason !== 'clean' && (reason || 'still open')), []);
    assert.equal(found.signoffs.clean, clients.length);
    assert.equal(found.signoffs.clean + found.signoffs.timeout, found.signons, 'but for those whose key nobody was told');
    assert.deepEqual(found.left, { sessions: 0, subscriptions: 0, channels: 0, queue_bytes: 0, profiles: 0 });
  });
});
