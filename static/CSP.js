/*
 * CSP.js: the Comet Session Protocol in a browser.
 *
 *   const session = new CSP.CometSession();
 *   session.onopen = () => session.write('hello');
 *   session.onread = (text) => console.log(text);
 *   session.onclose = (reason) => console.log('closed:', reason);
 *   session.connect('/_/echo/csp');
 *
 * A session is one ordered stream of text (or bytes) each way. It outlives the connections that carry it: packets
 * are numbered, kept until acknowledged, and sent again over whatever carries next, so nothing is lost, repeated or
 * reordered while the downstream moves between WebSocket, SSE, streaming, long-polling and JSONP. Like TCP, the
 * stream has no message borders: what was written in one piece may be read in several.
 *
 * One file for three uses: <script src="/_/CSP.js"> sets the globals `CSP` and `CometSession`, so does
 * `import '/_/CSP.js'`, and `require('./CSP.js')` returns `CSP`. No dependencies. CSP.d.ts has the types.
 */
(function () {
'use strict';

const CONNECTING = 0, OPEN = 1, CLOSING = 2, CLOSED = 3;

/** What the option `timeouts` may change, in milliseconds. */
const TIMEOUTS = {
  open: 10000,                      // a downstream that has not opened has failed
  request: 10000,                   // handshake and send; also: first contact, and an answer on a WebSocket
  check: 3000,                      // a WebSocket that may have died unseen answers within this
  backoff: [50, 5000],              // first and longest pause between attempts
  failed: 60000,                    // how long a transport that failed is passed over
  better: [15000, 600000],          // first and longest pause before a better transport is looked for
  goodbye: 2000,                    // how long close() waits to be acknowledged
  resume: 60000,                    // a page that comes back later than this begins anew
};

/** WebSocket close codes that end the session, and the reason that onclose gets. */
const CODES = { 1008: 'refused', 1009: 'too-big', 4401: 'token', 4403: 'kicked', 4404: 'expired', 4408: 'timeout', 4413: 'overflow' };

const SLOW_MS = [400, 2500];        // after three round trips within these a downstream that has not opened has a rival
const BEAT_S = 15;                  // the server says something at least this often on SSE and streams
const SOCKET_BEAT_S = 25;           // ... and on a WebSocket
const PACKET_UNITS = 3072;          // UTF-16 units: percent-encoded it still fits the server's 32 KiB URL
const BATCH_UNITS = 32768;          // of JSON in one POST or WebSocket message
const URL_UNITS = 28000;            // of percent-encoded JSON in the URL of a script tag
const ACK_UNITS = 65536;            // of data read: acknowledged at once, since the server holds it until then
const SOCKET_BYTES = 1 << 20;       // let a WebSocket buffer no more than this

// Small tools.

/** From the first to the longest, doubled each time, and never the same for two pages. */
const pause = ([first, longest], tries) => Math.min(longest, first * 2 ** tries) * (0.5 + Math.random() / 2);

const between = (low, value, high) => Math.max(low, Math.min(value, high));

/** Storage may be forbidden, full or missing; then nothing is remembered. */
function storage(kind, key, value) {
  try {
    const store = key && globalThis[kind], was = store.getItem(key);
    if (value === null) store.removeItem(key); else if (value) store.setItem(key, value);
    return was;
  } catch (e) { return null; }
}

/** `([[1,0,"x"]])`, in whatever prefix and suffix, as a value. Throws on anything else. */
const unwrap = (text) => JSON.parse(/\((.*)\)/s.exec(text)[1]);

// The server writes the alphabet that needs no escaping in a URL, and reads either.
const fromBase64 = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));

const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_');

/** Cuts text at code point borders, bytes anywhere; yields [encoding, data] for packets. */
function* cut(data) {
  if (typeof data !== 'string') {
    const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
    for (let at = 0; at < bytes.length; at += PACKET_UNITS) yield [1, toBase64(bytes.subarray(at, at + PACKET_UNITS))];
    return;
  }
  for (let at = 0, end; at < data.length; at = end) {
    end = Math.min(at + PACKET_UNITS, data.length);
    if (end < data.length && /[\uD800-\uDBFF]/.test(data[end - 1])) end--;
    yield [0, data.slice(at, end)];
  }
}

/**
 * Runs a script that calls back, the oldest way across origins. `done(called)` comes once the script has run or
 * failed; the function returned drops it. A script that was dropped may still arrive, so its callback stays a while.
 */
function runScript(urlFor, onvalue, done) {
  const name = 'csp_' + Math.random().toString(36).slice(2);
  const element = document.createElement('script');
  let called = false;
  globalThis[name] = (value) => { called = true; onvalue(value); };
  const finish = (ran) => { element.remove(); delete globalThis[name]; done(ran && called); };
  Object.assign(element, { charset: 'utf-8', src: urlFor(name), onload: () => finish(true), onerror: () => finish(false) });
  document.head.appendChild(element);
  return () => {
    element.onload = element.onerror = null;
    element.remove();
    globalThis[name] = () => {};
    setTimeout(() => delete globalThis[name], 90000);
  };
}

// The five downstreams.

/*
 * Each function opens one connection for `link`, reports to it, and returns a function that drops the connection.
 * The variables of CSP stay on the session until set again, so every comet request sets all of them.
 */
const COMET = { is: 0, i: BEAT_S, se: '', ps: 0, p: '', bp: '', bs: '', ct: 'text/plain' };

function websocket(session, link) {
  const socket = new WebSocket(session._url('websocket', { i: SOCKET_BEAT_S }).replace(/^http/, 'ws'));
  socket.onopen = () => { link.socket = socket; link.opened(); };
  socket.onmessage = ({ data }) => {
    let value;
    try { value = JSON.parse(data); } catch (e) { return link.ended(); }
    if (Array.isArray(value)) link.packets(value);
    else if (link.live()) session._acknowledged(value.a);
  };
  socket.onclose = ({ code, reason }) => {
    if (CODES[code] && link.live()) session._end(CODES[code], reason);
    else if (code === 4409 && link.live()) session._raced(link);
    else link.ended(false, code === 1001 ? 1000 * Math.random() : 0);    // a server that stops sends everybody away
  };
  return () => socket.close();
}

function sse(session, link) {
  const vars = { ...COMET, i: session._beat(), is: 1, se: 1, bp: 'data: ', bs: '\r\n', ct: 'text/event-stream' };
  const source = new EventSource(session._url('comet', vars));
  source.onopen = () => link.opened();
  source.onmessage = ({ data }) => link.text(data);
  source.onerror = () => link.ended(link.age() > session._hold * 900);
  return () => source.close();
}

function stream(session, link) {
  return fetchComet(session, link, { ...COMET, i: session._beat(), is: 1, bs: '\n' }, async (response) => {
    link.opened();
    const reader = response.body.getReader(), utf8 = new TextDecoder();
    for (let rest = '', done, value; ;) {
      ({ done, value } = await reader.read());
      if (done) return;
      const lines = (rest + utf8.decode(value, { stream: true })).split('\n');
      rest = lines.pop();
      lines.forEach((line) => link.text(line));
    }
  });
}

function longpoll(session, link) {
  link.opened(true);
  return fetchComet(session, link, COMET, async (response) => link.text(await response.text()));
}

function fetchComet(session, link, vars, read) {
  const abort = new AbortController();
  fetch(session._url('comet', vars), { method: 'POST', signal: abort.signal }).then(async (response) => {
    if (!response.ok) return link.refused(response.status, await response.text());
    await read(response);
    link.ended(true);
  }).catch(() => link.ended());
  return () => abort.abort();
}

function jsonp(session, link) {
  link.opened(true);
  const urlFor = (name) => session._url('comet', { ...COMET, bp: name, bs: ';', ct: 'application/javascript', n: Math.random() });
  const run = () => runScript(urlFor, (packets) => link.packets(packets), (called) => link.ended(called));
  if (document.readyState === 'complete') return run();
  // A script begun before the page's load event would hold that event back for as long as the server holds the poll.
  let stop;
  const begin = () => { clearTimeout(timer); if (link.live() && !stop) stop = run(); };
  const timer = setTimeout(begin, session._ms.open);
  addEventListener('load', () => setTimeout(begin), { once: true });
  return () => { clearTimeout(timer); if (stop) stop(); };
}

const TRANSPORTS = { websocket, sse, stream, longpoll, jsonp };

const STREAMS = ['sse', 'stream'];
const NEEDS_FETCH = [...STREAMS, 'longpoll'];

/** What each needs of the browser. */
const NEEDS = { websocket: 'WebSocket', sse: 'EventSource', stream: 'ReadableStream', longpoll: 'fetch', jsonp: 'document' };

const isUsable = (name) => globalThis[NEEDS[name]];

/** Whether a better transport works, tried beside the session: a socket that opens, a body that comes as it is sent. */
const PROBES = { websocket: probeSocket, sse: probeStream, stream: probeStream };

function probeSocket(session, signal) {
  return new Promise((resolve) => {
    const socket = new WebSocket(session._url('websocket', { s: null, a: null }).replace(/^http/, 'ws'));
    const done = (works) => { resolve(works); socket.close(); };
    socket.onopen = () => done(true);
    socket.onclose = signal.onabort = () => done(false);
  });
}

async function probeStream(session, signal) {
  const response = await fetch(session._url('streamtest', { s: null, a: null, bs: '\n' }), { signal }), reader = response.body.getReader();
  await reader.read();
  const first = Date.now();
  await reader.read();
  return response.ok && Date.now() - first > 500;
}

/**
 * One downstream connection. Only the session's present link is listened to: what a superseded one still says may
 * be in the framing of its successor, and all of it comes again by its number.
 */
class Link {
  constructor(session, name) {
    Object.assign(this, { session, name, born: Date.now(), socket: null, sent: 0, proven: false, fruitful: false });
  }

  live() { return this.session._link === this; }
  age() { return Date.now() - this.born; }
  streams() { return STREAMS.includes(this.name); }

  /** The connection fails, or `then` is called, unless something happens within `ms`. */
  watch(ms, then = () => this.ended()) {
    clearTimeout(this.timer);
    this.timer = setTimeout(then, ms);
  }

  /** The present link, or its rival that was faster in the end. */
  takes() { return this.live() || (this.session._rival === this && this.session._adopt(this)); }

  /** `yet`: the request went out, but only its answer will prove that this transport works. */
  opened(yet = false) {
    if (!this.takes()) return;
    if (!yet) this.session._slow = Math.max(this.session._slow, Math.min(2 * this.age(), this.session._ms.open));
    // A head says nothing of a proxy that keeps the body back: the first beat does.
    this.proven = !yet && (!this.streams() || this.session._streamed);
    if (yet || this.proven) this.rest();
    this.session._opened(this);
  }

  /** How long it may be silent: long-polls for as long as they are held, the others two beats. */
  rest() {
    const waits = this.name === 'websocket' && this.session._out.length;
    const beats = this.name === 'websocket' ? 2 * SOCKET_BEAT_S : this.streams() ? 2 * BEAT_S : this.session._hold + 5;
    this.watch(waits ? this.session._ms.request : (beats + 5) * 1000);
  }

  text(text) {
    if (!this.live() || !text.trim()) return;
    try { text = unwrap(text); } catch (e) { return this.ended(); }
    this.packets(text);
  }

  packets(packets) {
    if (!this.live()) return;
    this.proven = true;
    if (this.streams()) this.session._streams();
    const had = this.session._last;
    this.rest();
    this.session._take(this, packets);
    if (this.session._last > had) this.fruitful = true;
  }

  refused(status, text) {
    if (this.live() && !this.session._refused(status, text)) this.ended();
  }

  ended(clean = false, delay = 0) {
    if (this.live()) this.session._lost(this, clean, delay);
    else if (this.session._rival === this) this.session._outrun();
  }

  drop() {
    clearTimeout(this.timer);
    if (this.stop) this.stop();
  }
}

// The session.

class CometSession {
  constructor() {
    /** Called once the server has granted the session; what was written before is on its way. */
    this.onopen = null;
    /** Called with the next piece of the stream: text, or a Uint8Array with `binary: true`. */
    this.onread = null;
    /** Called once, with why (the reasons are in CSP.d.ts) and the server's words. */
    this.onclose = null;
    /** Called with the name of the downstream whenever it changes, and with '' while there is none. */
    this.ontransport = null;
    this.readyState = CLOSED;
    this.transport = '';
    /** Whether the session is one that the page had before it was loaded again (`resume`); known at onopen. */
    this.resumed = false;
    /** Characters (base64 for bytes) that the server has not acknowledged. */
    this.bufferedAmount = 0;
    /** Packets read; packets the server sent twice (dropped); packets missing (always ends the session); transports changed. */
    this.stats = { received: 0, repeated: 0, lost: 0, switches: 0 };
    this._onWake = () => { if (!(globalThis.document || {}).hidden) this._back(); };
    this._onLeave = () => this._save();
  }

  /** Opens a session at `base`, such as `/_/echo/csp` or `http://host:8000/_/echo/csp`. Options are in CSP.d.ts. */
  connect(base, options = {}) {
    if (this.readyState !== CLOSED) throw new Error('CSP: not closed');
    const here = globalThis.document && document.baseURI;
    Object.assign(this, {
      readyState: CONNECTING, transport: '',
      _base: new URL(base, here).href.replace(/\/$/, ''), _options: options, _hold: options.duration || 30, _ms: { ...TIMEOUTS, ...options.timeouts },
      _order: options.transports || Object.keys(TRANSPORTS), _failed: new Map(), _noFetch: false,
      _link: null, _rival: null, _was: '', _turn: 0, _tries: 0, _timer: 0,   // downstream
      _left: false, _streamed: false, _slow: SLOW_MS[0], _best: '', _seeker: 0, _seeks: 0,
      _ackTimer: 0, _unacked: 0, _ended: false,
    });
    if (!this._choose()) { this.readyState = CLOSED; throw new Error('CSP: no usable transport'); }
    this._ranking = this._order;
    this._memo = options.remember === false ? '' : 'csp ' + this._base;
    this._best = storage('localStorage', this._memo);
    if (this._order.includes(this._best)) this._order = [...new Set([this._best, ...this._order])];
    this._listen('addEventListener');
    this._begin();
    this.resumed = this._regain();
    this._old = this._next;
    this._handshake(++serial);
  }

  /** Sends text, or an ArrayBuffer or view of one. Before onopen it is queued; after close it is refused: false. */
  write(data) {
    if (this.readyState > OPEN) return false;
    if (data.toWellFormed) data = data.toWellFormed();
    for (const [encoding, piece] of cut(data)) this._push(encoding, piece);
    this._flushIn();
    return true;
  }

  /** Ends the session after all that was written. onclose('clean') follows once the server has it all, or soon. */
  close() {
    if (this.readyState === CONNECTING) return this._end('clean');
    if (this.readyState !== OPEN) return;
    this.readyState = CLOSING;
    this._goodbye = setTimeout(() => this._end('clean'), this._ms.goodbye);
    this._push(0, null);
    this._flush();
  }

  /** Moves to the first of these transports that works, now, in mid-stream. */
  switchTo(transports) {
    this.setTransports(transports);
    if (this.readyState !== OPEN) return;
    const name = this._choose();
    if (!name || !this._link || this._link.name !== name) this._open(name);
  }

  /** Sets the transports to choose from; the present one stays while it is among them. */
  setTransports(transports) {
    this._order = this._ranking = transports.slice();
    if (this._rival) this._outrun();
    this._failed = new Map();
    if (this.readyState !== OPEN) return;
    if (this._link ? !transports.includes(this._link.name) : this._timer) this._open(this._choose());
    this._seeks = 0;
    this._seek();
  }

  /** Drops the present connection, as a bad network would; the session reconnects by itself. */
  cut() {
    if (this._link && this._unlink()) this._later();
  }

  // Requests.

  _url(name, vars) {
    vars = { s: this._key, a: this._last, du: this._hold, ...vars };
    return `${this._base}/${name}?` + Object.keys(vars).filter((k) => vars[k] != null).map((k) => `${k}=${encodeURIComponent(vars[k])}`).join('&');
  }

  /** Resolves to {status, value}, value being text unless status is 200; rejects when there was no answer. */
  _request(name, vars, d, byScript = this._byScript()) {
    // A greeting that is swallowed is said again while there is time.
    const wait = this._ms.request / (this._key ? 1 : 2);
    if (byScript) {
      return new Promise((resolve, reject) => {
        let value;
        const stop = runScript((cb) => this._url(name, { ...vars, d, rp: cb, rs: ';', n: Math.random() }), (v) => { value = v; },
          (called) => { clearTimeout(timer); called ? resolve({ status: 200, value }) : reject(new Error('no answer')); });
        const timer = setTimeout(() => { stop(); reject(new Error('no answer')); }, wait);
      });
    }
    const abort = new AbortController(), timer = setTimeout(() => abort.abort(), wait);
    // text/plain needs no CORS preflight; keepalive lets the last words out when the page is left.
    const keepalive = this.readyState === CLOSING && d.length < 20000;
    const init = { method: 'POST', body: d, headers: { 'Content-Type': 'text/plain' }, signal: abort.signal, keepalive };
    return fetch(this._url(name, { ...vars, rp: '', rs: '' }), init)
      .then(async (response) => {
        const { status } = response, value = await response.text(), after = response.headers.get('Retry-After');
        // Whoever was sent away with a time comes back within half of it after that time, not all at once.
        return { status, value: status === 200 ? unwrap(value) : value, wait: between(0, after * 1000 || Date.parse(after) - Date.now() || 0, 60000) * (1 + Math.random() / 2) };
      })
      .finally(() => clearTimeout(timer));
  }

  _byScript() {
    return this._noFetch || this._order.every((name) => name === 'jsonp');
  }

  /** Ends the session when a status says so for good. */
  _refused(status, text) {
    const reason = status === 404 && text.includes('Session not found') ? 'expired'
      : { 400: 'protocol', 401: 'refused', 403: 'refused', 413: 'too-big' }[status];
    if (reason) this._end(reason, text);
    return !!reason;
  }

  async _handshake(turn) {
    const { user, token } = this._options, hello = JSON.stringify({ encodings: [0, 1, 2], user, token });
    const gone = () => this._serial !== turn || this.readyState !== CONNECTING;
    this._serial = turn;
    for (let tries = 0; ; tries++) {
      const since = Date.now();
      const answer = this._key ? await this._request('send', {}, '[]').catch(() => null) : await this._greet(hello);
      if (gone()) return;
      const { status, value, wait = 0 } = answer || {};
      this._slow = between(SLOW_MS[0], 3 * (Date.now() - since), SLOW_MS[1]);
      if (status === 200 && value && (this.resumed || value.session)) return this._granted(this._key || value.session);
      if (this.resumed && (status === 404 || (!answer && this._noFetch))) {          // too late; what this page wrote goes to a new session
        const fresh = this._out.filter(([id]) => id >= this._old);
        this._begin();
        fresh.forEach(([, encoding, data]) => this._push(encoding, data));
        continue;
      }
      if (status >= 400 && status < 500 && status !== 408 && status !== 429) return this._end('refused', value);
      if (Date.now() - this._heard > this._ms.request) return this._end('unreachable', value);
      await new Promise((resolve) => setTimeout(resolve, Math.max(wait, pause(this._ms.backoff, tries))));
      if (gone()) return;
    }
  }

  /** fetch, and where it fails on another origin (its policy, perhaps), a script tag. Null: no answer. */
  async _greet(hello) {
    const scripted = this._byScript();
    const attempt = (byScript) => this._request('handshake', { s: null, a: null, ct: byScript ? 'application/javascript' : 'text/plain' }, hello, byScript);
    try { return await attempt(scripted); } catch (e) { /* next */ }
    if (scripted || !isUsable('jsonp') || !this._order.includes('jsonp') || new URL(this._base).origin === location.origin) return null;
    const answer = await attempt(true).catch(() => null);
    this._noFetch = !!answer;
    return answer;
  }

  _granted(key) {
    this._key = key;
    this.readyState = OPEN;
    this._heard = Date.now();
    this._open(this._choose());
    this._emit('onopen');
    this._flushIn();
  }

  // Downstream: choose, open, lose.

  /** The first transport which did not fail lately; when all did, it is not their fault. */
  _choose() {
    const usable = this._usable(), fresh = usable.find((name) => !this._isFailed(name));
    if (!fresh) this._failed.clear();
    return fresh || usable[0];
  }

  _usable() {
    const rival = this._rival && this._rival.name;
    return this._order.filter((name) => name !== rival && isUsable(name) && !(this._noFetch && NEEDS_FETCH.includes(name)));
  }

  _isFailed(name) { return Date.now() - this._failed.get(name) < this._ms.failed; }

  _open(name) {
    this._clear();
    if (this._left) return;
    if (!name) return this._end('unreachable', 'no usable transport');
    const link = this._link = new Link(this, name), slow = link.streams() && !this._streamed ? this._slow + 1000 : this._slow;
    link.watch(slow, () => this._race(link));
    this._ackSent = this._last;
    try { link.stop = TRANSPORTS[name](this, link); } catch (e) { setTimeout(() => link.ended()); }
    if (!link.live()) link.drop();                // ontransport moved on at once
  }

  _opened(link) {
    if (link.proven) this._heard = Date.now();
    if (this.transport !== link.name) {
      if (this._was && this._was !== link.name) this.stats.switches++;
      this._was = this.transport = link.name;
      this._emit('ontransport', link.name);
      this._seek();
    }
    this._flush();
  }

  /** It is slow, perhaps for ever: the next one begins, and whichever is open first stays. */
  _race(link) {
    const rest = this._usable().filter((name) => name !== link.name && !(link.streams() && STREAMS.includes(name)));
    const next = rest.find((name) => !this._isFailed(name));
    if (!next || (this._rival && !link.streams())) return link.watch(this._ms.open);
    // A stream is dropped: its request holds the session until the next takes it over.
    if (link.streams()) STREAMS.forEach((name) => this._failed.set(name, Date.now()));
    else {
      this._rival = link;
      this._link = null;
      link.watch(this._ms.open);
    }
    this._open(next);
  }

  /** The rival is open: the server has moved the session there. */
  _adopt(link) {
    this._clear();
    this._link = link;
    this._rival = null;
    return true;
  }

  /** The loser of a race was heard later, and took over: the winner opens again, and nothing races it. */
  _raced(link) {
    this._slow = this._ms.open;
    link.ended();
  }

  /** The rival never opened. */
  _outrun() {
    this._failed.set(this._rival.name, Date.now());
    this._rival.drop();
    this._rival = null;
  }

  /** Data comes as it is sent: one beat was enough to see it, and they may be rare now. */
  _streams() {
    if (this._streamed) return;
    this._streamed = true;
    this._request('send', { i: BEAT_S }, '[]').catch(() => {});
  }

  /** While a lesser transport carries, a better one is looked for, ever more rarely. */
  _seek() {
    clearTimeout(this._seeker);
    const better = () => this._ranking.slice(0, Math.max(this._ranking.indexOf(this.transport), 0)).filter((name) => name in PROBES && isUsable(name));
    if (!better().length || this._noFetch) return;
    const seeker = this._seeker = setTimeout(async () => {
      for (const name of better()) {
        const stop = new AbortController(), timer = setTimeout(() => stop.abort(), this._ms.open);
        const found = await PROBES[name](this, stop.signal).catch(() => false);
        clearTimeout(timer);
        stop.abort();
        if (this.readyState !== OPEN || this._seeker !== seeker) return;
        if (!found || !better().includes(name)) continue;
        this._failed.clear();
        this._order = this._ranking;
        return this._open(name);
      }
      this._seek();
    }, pause(this._ms.better, this._seeks++));
  }

  /** After sleep, a hidden tab, another network: what is waited for is done now, and what may be dead is asked. */
  _check() {
    const link = this._link, silent = Date.now() - this._heard > (BEAT_S + 5) * 1000;
    if (!this._key) return;
    if (this._timer) return this._open(this._choose());
    if (link && link.socket && link.socket.readyState === 1) {
      link.socket.send('[]');
      link.watch(this._ms.check);
    } else if (link && silent && link.age() > this._ms.check) this._open(link.name);
  }

  // A page that is left and comes back.

  _save() {
    const { resume } = this._options;
    if (!resume || !this._key || this.readyState > OPEN) return;
    storage('sessionStorage', 'csp ' + resume, JSON.stringify([this._base, Date.now(), this._key, this._last, this._next, this._out, this._noFetch]));
    // From here on the next page speaks; what this one still writes is saved for it.
    this._left = true;
    if (this._link) this._unlink();
  }

  /** Takes what a page left, for the first that asks; false when there is nothing, or it is too old. */
  _regain() {
    const { resume } = this._options;
    try {
      const [base, at, ...was] = JSON.parse(resume && storage('sessionStorage', 'csp ' + resume, null));
      if (base !== this._base || Date.now() - at > this._ms.resume || (this._key && this._key !== was[0])) return false;
      [this._key, this._last, this._next, this._out, this._noFetch] = was;
      this.bufferedAmount = this._out.reduce((sum, packet) => sum + (packet[2] || '').length, 0);
      return true;
    } catch (e) { return false; }
  }

  /** A page that was kept for the way back is shown again: the session is where the page after it left it, or gone. */
  _back() {
    if (!this._left) return this._check();
    this._left = false;
    const regained = this._regain();
    if (this.readyState === CLOSING) return this._end('clean');
    if (!regained) {
      // Another page has it, or it is too old.
      this.readyState = CONNECTING;
      this._clear();
      this._begin();
      this._handshake(++serial);
    } else if (this.readyState === OPEN) this._open(this._choose());
  }

  /** Numbers from 1, for a session that is not granted yet. */
  _begin() {
    Object.assign(this, {
      resumed: false, bufferedAmount: 0, _key: null, _last: 0, _next: 1, _out: [], _ackSent: 0, _heard: Date.now(),
      _decoder: new TextDecoder('utf-8', { ignoreBOM: true }), _sending: false, _sendTries: 0, _sendAfter: 0, _flushAt: 0,
    });
  }

  _listen(verb) {
    if (!globalThis[verb]) return;
    ['online', 'pageshow'].forEach((name) => globalThis[verb](name, this._onWake));
    globalThis[verb]('pagehide', this._onLeave);
    if (globalThis.document) document[verb]('visibilitychange', this._onWake);
  }

  _beat() { return this._streamed ? BEAT_S : 1; }

  /** A downstream is over. `clean`: by the rules, at the end of its time, so the same transport goes on. */
  _lost(link, clean, delay) {
    if (this._ended) return this._end('clean');
    const lasted = link.fruitful || (link.proven && link.age() > 1000);
    if (lasted) this._tries = 0;
    // With a rival about to open, the end may be the server's way of moving there.
    if (clean && lasted && !this._rival) return this._open(link.name);
    if (clean) return this._later(link.name);
    if (link.proven && this._tries > 3) this._failed.set(link.name, Date.now());     // opens, and dies young
    if (!this._unlink()) return;
    if (link.proven) return this._later(null, delay);
    this._blame(link.name, this._turn);
  }

  /** Nothing carries, and nothing is waited for. */
  _clear() {
    clearTimeout(this._timer);
    this._timer = 0;
    if (this._link) this._link.drop();
    this._link = null;
    this._turn++;
  }

  /** The connection is gone. False when the page, told so, has ended the session or moved it. */
  _unlink() {
    this._clear();
    this.transport = '';
    this._emit('ontransport', '');
    return this._key && !this._link;
  }

  /** A transport never worked. The server is asked by an empty send whether that is the transport's fault. */
  _blame(name, turn) {
    const stale = () => this._turn !== turn || this.readyState === CLOSED;
    this._request('send', {}, '[]', this._noFetch).then(({ status, value, wait }) => {
      if (stale()) return;
      if (status !== 200) return this._refused(status, value) || this._later(null, wait);
      this._failed.set(name, Date.now());
      const next = this._choose();
      if (this._failed.size) this._open(next); else this._later(next);
    }, async () => {
      // A script tag hides the status. A server that answers, though no script ever runs, has forgotten the session.
      const there = this._noFetch && this._tries > 3 && await fetch(this._url('send'), { method: 'POST', body: '[]', mode: 'no-cors' }).catch(() => null);
      if (stale()) return;
      if (there) this._end('expired'); else this._later();
    });
  }

  _later(name, delay = 0) {
    // The server keeps a silent session this long, and no longer.
    if (Date.now() - this._heard > Math.max(2 * this._hold, 60) * 1000 + 5000) return this._end('timeout');
    this._clear();
    this._timer = setTimeout(() => this._open(this._usable().includes(name) ? name : this._choose()), Math.max(delay, pause(this._ms.backoff, this._tries++)));
  }

  // Downstream: packets.

  _take(link, packets) {
    this._heard = Date.now();
    if (this._best !== link.name) storage('localStorage', this._memo, link.name);
    this._best = link.name;
    try {
      for (const [id, encoding, data] of packets) {
        if (this._link !== link) return;          // a callback moved the session: the rest comes again
        if (id <= this._last) { this.stats.repeated++; continue; }
        if (id !== this._last + 1) {
          this.stats.lost += id - this._last - 1 || 0;
          return this._end('protocol', `packet ${id} after ${this._last}`);
        }
        this._last = id;
        if (data === null) { this._ended = true; return this.close(); }
        this.stats.received++;
        this._unacked += data.length;
        this._read(encoding, data);
      }
    } catch (e) { return this._end('protocol', String(e)); }
    if (this._link === link) this._ackSoon(link);
  }

  _read(encoding, data) {
    let piece = encoding === 1 ? fromBase64(data) : data;
    if (this._options.binary) piece = encoding === 1 ? piece : new TextEncoder().encode(piece);
    else if (encoding === 1) piece = this._decoder.decode(piece, { stream: true });     // half a character waits
    else piece = this._decoder.decode() + piece;
    if (piece.length) this._emit('onread', piece);
  }

  /** Polls acknowledge in their next request. A WebSocket does it in bursts, a stream by an empty send now and then. */
  _ackSoon(link) {
    const poll = link.name === 'longpoll' || link.name === 'jsonp', due = this._last - this._ackSent;
    if (poll || !due) return;
    if (due >= (link.socket ? 32 : 64) || this._unacked >= ACK_UNITS) return this._ack();
    if (!this._ackTimer) this._ackTimer = setTimeout(() => this._ack(), link.socket ? 40 : 1000);
  }

  _ack() {
    clearTimeout(this._ackTimer);
    this._ackTimer = 0;
    this._unacked = 0;
    const socket = this._link && this._link.socket;
    if (this._left || this._last === this._ackSent) return;
    if (!socket && (this._sending || Date.now() < this._sendAfter)) this._ackTimer = setTimeout(() => this._ack(), 50);
    else if (!socket) this._post();
    else socket.send(`{"a":${this._ackSent = this._last}}`);
  }

  // Upstream.

  _push(encoding, data) {
    this._out.push([this._next++, encoding, data]);
    this.bufferedAmount += data ? data.length : 0;
    if (this._left) this._save();
  }

  /** Flushes at the end of this turn (writes go out together), or after `ms`. */
  _flushIn(ms = 0) {
    const at = Date.now() + ms;
    if (this._flushAt && this._flushAt.at <= at) return;
    const due = this._flushAt = { at };
    const run = () => { if (this._flushAt === due) { this._flushAt = 0; this._flush(); } };
    if (ms) setTimeout(run, ms); else Promise.resolve().then(run);
  }

  _flush() {
    const link = this._link;
    if (!this._key || !this._out.length || this._left) return;
    if (link && link.socket) return this._flushSocket(link);
    if (this._sending) return;
    // A WebSocket about to open spares a request.
    if (link && link.name === 'websocket' && this.readyState === OPEN && link.age() < 250) return this._flushIn(250);
    this._post();
  }

  /** A WebSocket takes all that is unacknowledged, once; also what a send in flight holds: the server drops doubles. */
  _flushSocket(link) {
    if (link.socket.readyState !== 1) return;
    while (link.socket.bufferedAmount < SOCKET_BYTES) {
      const { text, last } = this._batch(Math.max(0, link.sent - this._out[0][0] + 1), (t) => t.length, BATCH_UNITS);
      if (!last) break;
      link.socket.send(text);
      link.sent = last;
    }
    link.rest();
  }

  /** One send at a time, repeated until the server says OK. With nothing to send it only acknowledges. */
  async _post() {
    if (Date.now() < this._sendAfter) return this._flushIn(this._sendAfter - Date.now());
    const { _key: key, _last: a } = this, script = this._byScript();
    const { text, last } = this._batch(0, script ? (t) => encodeURIComponent(t).length : (t) => t.length, script ? URL_UNITS : BATCH_UNITS);
    this._sending = true;
    const answer = await this._request('send', {}, text).catch(() => null);
    if (this._key !== key) return;
    this._sending = false;
    if (answer && answer.status === 200) {
      this._sendTries = 0;
      this._ackSent = Math.max(this._ackSent, a);
      this._acknowledged(last);
    } else if (!answer || !this._refused(answer.status, answer.value)) this._sendAfter = Date.now() + Math.max((answer || {}).wait || 0, pause(this._ms.backoff, this._sendTries++));
    if (this._out.length) this._flushIn();
  }

  _batch(from, measure, limit) {
    let text = '', size = 0, last = 0;
    for (const packet of this._out.slice(from, from + 1000)) {
      const json = JSON.stringify(packet);
      size += measure(json) + 3;
      if (text && size > limit) break;
      text += (text && ',') + json;
      last = packet[0];
    }
    return { text: `[${text}]`, last };
  }

  _acknowledged(id) {
    this._heard = Date.now();
    let n = 0;
    while (n < this._out.length && this._out[n][0] <= id) this.bufferedAmount -= (this._out[n++][2] || '').length;
    this._out.splice(0, n);
    if (this.readyState === CLOSING && !this._out.length) return this._end('clean');
    if (!this._link || !this._link.socket) return;
    this._link.rest();
    this._flush();
  }

  // The end.

  _end(reason, detail = '') {
    if (this.readyState === CLOSED) return;
    if (this.readyState === CLOSING) reason = 'clean';
    this.readyState = CLOSED;
    this.transport = '';
    this._key = null;
    this._flushAt = 0;
    [this._ackTimer, this._goodbye, this._seeker].forEach(clearTimeout);
    this._clear();
    if (this._rival) this._outrun();
    this._listen('removeEventListener');
    this._emit('onclose', reason, typeof detail === 'string' ? detail : '');
  }

  /** A callback that throws must not stop the stream; its error is reported as any other. */
  _emit(name, ...args) {
    try { if (this[name]) this[name](...args); } catch (e) { setTimeout(() => { throw e; }); }
  }
}

let serial = 0;   // tells a handshake from those of an earlier connect()

Object.assign(CometSession, { CONNECTING, OPEN, CLOSING, CLOSED });
const CSP = { CometSession, transports: Object.keys(TRANSPORTS) };
Object.assign(globalThis, { CSP, CometSession });
if (typeof module === 'object' && module.exports) module.exports = CSP;
})();
