// A TCP proxy that treats connections as bad networks and bad proxies do. Of HTTP it knows where a request begins.
//
// The nth connection draws from dice of its own, so that the same seed does the same to the nth again; when connections
// come is not in its hands.
'use strict';

const net = require('node:net');
const { Dice } = require('./dice.js');

/** What is done, and how often. Chances are from 0 to 1. */
const CALM = {
  // Of a connection:
  refuse: 0,                          // it is reset at once
  cut: 0, cutWithin: 1500,            // it is ended, by FIN or RST, at one of the first so many bytes of either direction, rather an early one
  cutAfter: 0,                        // it is ended after so many bytes of answers; 0: never
  stall: 0, stallMs: 1500,            // at such a byte it carries nothing for up to so long, one way or both
  delay: 0, delayMs: 60,              // all that it carries is late by up to so much
  dribble: 0,                         // all that it carries is written byte by byte
  // Of a request:
  swallow: 0,                         // it reaches the server, and no answer comes back
  buffer: 0,                          // its answer is held back until it has ended
  forget: 0,                          // what it acknowledges is taken back, as if an older one had come: all of it is sent again
  // Of a request to upgrade:
  upgradeRefuse: 0,                   // it is answered with 400
  upgradeStrip: 0,                    // it reaches the server as a plain request
  upgradeSwallow: 0,                  // nothing comes of it
};

const STALL_WITHIN = 1500;
const DRIBBLE_BYTES = 100;            // of each chunk, the rest is written whole: a system call for each byte is dear

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const turn = () => new Promise(setImmediate);

/** One connection of a client, and ours to the server for it. */
class Pair {
  constructor(proxy, client, dice) {
    Object.assign(this, { proxy, client, dice, head: '', body: 0, raw: false, mute: false, held: null, over: false });
    this.plan = this.draw(proxy.settings);
    this.server = net.connect(proxy.target, '127.0.0.1');
    this.ways = {
      up: { from: client, to: this.server, bytes: 0, stalled: null, wake() {} },
      down: { from: this.server, to: client, bytes: 0, stalled: null, wake() {} },
    };
    for (const name of ['up', 'down']) this.listen(name, this.ways[name]);
  }

  /** Everything is drawn, whatever the settings: a change of one does not change the chances of the others. */
  draw({ cut, cutWithin, cutAfter, stall, stallMs, delay, delayMs, dribble }) {
    const { dice } = this, either = ['up', 'down'], events = [];
    const cutAt = { fault: 'cut', way: dice.pick(either), at: dice.early(cutWithin), by: dice.pick(['FIN', 'RST']) };
    const stallAt = { fault: 'stall', way: dice.pick(either), at: dice.early(STALL_WITHIN), ms: dice.between(50, stallMs), both: dice.chance(0.5) };
    const late = dice.between(1, delayMs), [isCut, isStalled, isLate, isDribbled] = [cut, stall, delay, dribble].map((p) => dice.chance(p));
    if (isCut) events.push(cutAt);
    if (cutAfter) events.push({ ...cutAt, fault: 'cutAfter', way: 'down', at: cutAfter });
    if (isStalled) events.push(stallAt);
    if (isLate) this.proxy.count('delay');
    if (isDribbled) this.proxy.count('dribble');
    return { events: events.sort((a, b) => a.at - b.at), delay: isLate ? late : 0, dribble: isDribbled };
  }

  listen(name, way) {
    way.from.setNoDelay(true);
    way.from.on('data', (chunk) => {
      way.from.pause();
      this.pass(name, way, chunk).then(() => way.from.resume());
    });
    way.from.on('end', () => this.ended(name)).on('error', () => this.reset()).on('close', () => this.closed(name));
    way.to.on('drain', () => way.wake()).on('close', () => way.wake());
  }

  // What is carried.

  async pass(name, way, chunk) {
    chunk = name === 'up' ? this.requests(chunk) : this.answer(chunk);
    if (!chunk.length) return;
    if (this.plan.delay) await wait(this.plan.delay);
    for (let event; (event = this.plan.events.find((one) => one.way === name && way.bytes + chunk.length > one.at));) {
      const before = chunk.subarray(0, event.at - way.bytes);
      chunk = chunk.subarray(before.length);
      this.plan.events.splice(this.plan.events.indexOf(event), 1);
      await this.write(way, before);
      this.proxy.count(event.fault);
      if (event.fault !== 'stall') return this.cut(event.by);
      for (const one of event.both ? Object.values(this.ways) : [way]) one.stalled = wait(event.ms).then(() => { one.stalled = null; });
      this.proxy.count(event.both ? 'both ways' : 'one way');
    }
    await this.write(way, chunk);
  }

  async write(way, chunk) {
    if (way.stalled) await way.stalled;
    for (let n = 0; this.plan.dribble && n < DRIBBLE_BYTES && chunk.length && !this.over; n++) {
      way.to.write(chunk.subarray(0, 1));
      chunk = chunk.subarray(1);
      way.bytes++;
      await turn();
    }
    way.bytes += chunk.length;
    if (this.over || !chunk.length || way.to.write(chunk)) return;
    await new Promise((resolve) => { way.wake = resolve; });
  }

  // Requests and answers.

  /** What of the client's bytes goes on to the server. */
  requests(chunk) {
    const out = [];
    while (chunk.length) {
      const known = this.raw ? chunk.length : Math.min(this.body, chunk.length);
      if (known) {
        out.push(chunk.subarray(0, known));
        if (!this.raw) this.body -= known;
        chunk = chunk.subarray(known);
        continue;
      }
      this.head += chunk.toString('latin1');
      const end = this.head.indexOf('\r\n\r\n') + 4;
      if (end < 4) break;
      const head = this.head.slice(0, end);
      chunk = Buffer.from(this.head.slice(end), 'latin1');
      this.head = '';
      this.body = Number((/\r\ncontent-length: *(\d+)/i.exec(head) || [0, 0])[1]);
      out.push(Buffer.from(/\r\nupgrade:/i.test(head) ? this.upgrade(this.forget(head)) : this.request(this.forget(head)), 'latin1'));
    }
    return Buffer.concat(out);
  }

  request(head) {
    const { swallow, buffer } = this.proxy.settings, [swallowed, buffered] = [this.dice.chance(swallow), this.dice.chance(buffer)];
    this.proxy.count('requests');
    if (swallowed) {
      this.mute = true;
      this.proxy.count('swallow');
    } else if (buffered) {
      this.held ||= [];
      this.proxy.count('buffer');
      return head.replace(/\r\nconnection:[^\r]*/ig, '').replace('\r\n', '\r\nConnection: close\r\n');
    }
    return head;
  }

  /** An acknowledgement in the address is of packets that may never have been acknowledged otherwise. */
  forget(head) {
    if (!this.dice.chance(this.proxy.settings.forget) || !/^[^\r]*[?&]a=[1-9]/.test(head)) return head;
    this.proxy.count('forget');
    return head.replace(/([?&]a=)\d+/, '$10');
  }

  upgrade(head) {
    const { upgradeRefuse, upgradeStrip, upgradeSwallow } = this.proxy.settings, n = this.dice.next();
    this.proxy.count('upgrades');
    this.raw = true;
    if (n < upgradeRefuse) {
      this.proxy.count('upgradeRefuse');
      this.client.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return '';
    }
    if (n < upgradeRefuse + upgradeStrip) {
      this.proxy.count('upgradeStrip');
      return head.replace(/\r\n(connection|upgrade):[^\r]*/ig, '');
    }
    if (n < upgradeRefuse + upgradeStrip + upgradeSwallow) {
      this.mute = true;
      this.proxy.count('upgradeSwallow');
      return '';
    }
    return head;
  }

  answer(chunk) {
    if (this.held) this.held.push(chunk);
    return this.held || this.mute ? Buffer.alloc(0) : chunk;
  }

  // Ends.

  /** A side has said all: so the other side is told, unless the answer is one that never comes. */
  async ended(name) {
    const way = this.ways[name];
    if (way.stalled) await way.stalled;
    if (this.mute) return name === 'up' && this.reset();
    if (name === 'down' && this.held) way.to.write(Buffer.concat(this.held));
    way.to.end();
  }

  cut(by) {
    this.proxy.count(by);
    if (by === 'RST') return this.reset();
    this.over = true;
    [this.client, this.server].forEach((socket) => socket.destroySoon());
  }

  reset() {
    this.over = true;
    [this.client, this.server].forEach((socket) => socket.destroyed || socket.resetAndDestroy());
  }

  closed(name) {
    if (name === 'down' && this.mute && !this.client.destroyed) return;
    this.over = true;
    this.proxy.pairs.delete(this);
    [this.client, this.server].forEach((socket) => socket.destroySoon());
  }
}

/** A proxy to `port`. Settings may change at any time: those of a connection count for connections to come. */
async function chaos(port) {
  const listener = net.createServer({ allowHalfOpen: true }, (client) => {
    const dice = new Dice(self.counts.connections);
    self.count('connections');
    if (!dice.chance(self.settings.refuse)) return self.pairs.add(new Pair(self, client, dice));
    self.count('refuse');
    client.on('error', () => {}).resetAndDestroy();
  });
  const self = {
    target: port, settings: CALM, pairs: new Set(),
    /** What was carried, and each fault by the name of its setting. */
    counts: { connections: 0 },
    count(what) { self.counts[what] = (self.counts[what] || 0) + 1; },
    /** What is not named does not happen. */
    set(settings) { self.settings = { ...CALM, ...settings }; },
    /** From now on nothing is done to any connection; an answer that was swallowed still never comes. */
    calm() {
      self.set({});
      for (const { plan } of self.pairs) Object.assign(plan, { events: [], delay: 0, dribble: false });
    },
    /** The connections that nothing has ended yet. */
    alive() { return [...self.pairs].filter((pair) => !pair.over); },
    /** Resets every connection, and says how many these were. */
    cut() {
      const cut = self.alive();
      cut.forEach((pair) => pair.reset());
      return cut.length;
    },
    close() {
      listener.close();
      self.cut();
    },
  };
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  self.url = `http://127.0.0.1:${listener.address().port}`;
  return self;
}

module.exports = { chaos };
