/*
 * Revolved.js: publish and subscribe in a browser, on a Comet session (load CSP.js first).
 *
 *   const r = new Revolved();
 *   await r.connect('ann');
 *   r.subscribe('chat', (payload, sender) => console.log(sender, payload), { history: 50, presence: true });
 *   r.onmembers = (channel, members) => console.log(channel, members);
 *   r.publish('chat', { text: 'hello' });
 *
 * Every call returns a promise, and none has to be awaited: calls go out in the order they were made, also while the
 * connection is being made. A session survives its connections. When it is lost itself (the server forgot it, was
 * restarted, or had more for it than it may keep) a new one is opened, signed in, and subscribed again from the last
 * message seen in each channel; what the server no longer has is told by ongap, never left out silently. A call whose
 * answer was lost with its session is rejected with `closed`: nobody knows whether it was done. A publish that has an id
 * is asked once more instead, by the same user and while the server knows the id: it counts once. Only who was refused,
 * kicked, or told to stay away by the server's goodbye stays away. Types are in Revolved.d.ts.
 *
 * On the wire: one JSON array per line. [id, VERB, args] is answered by ["OK",[id, result]] or ["ERR",[id, text, code]].
 */
(function () {
'use strict';

const RETRY_MS = [250, 10000];      // first and longest pause before a new session
const QUEUE_MAX = 1000;             // calls that wait for a new session
const ONCE_MS = 110000;             // how old a publish that is asked again may be: servers know its id for 2 minutes
const PAGE_MAX = 1000;              // messages or members in one answer
// Codes of the goodbye, and of the WebSocket's close, behind which nobody comes back unasked.
const ENDS = { 4401: 'token', 4403: 'kicked' };

const EVENTS = ['open', 'publish', 'receive', 'join', 'leave', 'members', 'resumed', 'subscribed', 'unsubscribed', 'gap', 'bye', 'close', 'error', 'transport'];

const CSP = globalThis.CSP || require('./CSP.js');
const script = typeof document === 'object' && document.currentScript;
const home = script && script.src ? new URL(script.src).origin : globalThis.location ? location.origin : undefined;

/** What a call is rejected with. `code` is the server's, or `closed` when the session ended before the answer. */
class RevolvedError extends Error {
  constructor(message, code, verb) {
    super(message);
    Object.assign(this, { name: 'RevolvedError', code, verb });
  }
}

class Revolved {
  /** Options: url (default: where this script came from), user, credentials, transports, token, duration, timeouts. */
  constructor(options = {}) {
    this.options = options;
    /** The user as the server granted it, once signed in. */
    this.user = null;
    this.connected = false;
    /** The session below: transport, stats, cut(), switchTo(). It stays the same object over reconnects. */
    this.csp = new CSP.CometSession();
    for (const event of EVENTS) this['on' + event] = null;

    this._wanted = false;              // connect() was called, disconnect() was not, and nobody sent us away
    this._subscriptions = new Map();   // channel or pattern -> {options, callbacks, epoch, offset, here, members}
    this._pending = new Map();         // id -> {resolve, reject, verb, args}
    this._reports = new Map();         // id of a SEND -> {fates, sessions, resolve}
    this._queue = [];                  // calls made between sessions
    this._nextId = 1;
    this._tries = 0;
    this.csp.onopen = () => this._opened();
    this.csp.onread = (text) => this._read(text);
    this.csp.onclose = (reason, detail) => this._closed(reason, detail);
    this.csp.ontransport = (name) => this._emit('ontransport', name);
  }

  /** Connects and signs in; resolves to the user as granted. Keeps trying until it is refused or disconnect() is called. */
  connect(user = this.options.user, credentials = this.options.credentials) {
    if (this._wanted) return Promise.reject(new RevolvedError('already connected', 'state', 'CONNECT'));
    Object.assign(this.options, { user, credentials });
    this._wanted = true;
    this._dial();
    return this._promise('CONNECT', (entry) => { this._connecting = entry; });
  }

  /** Signs in as another user, or with another token; where a token says who that is, `user` may be null. */
  auth(user, credentials) {
    Object.assign(this.options, { user, credentials });
    const granted = this._call('AUTH', credentials == null ? [user] : [user, credentials]).then((name) => (this.user = name));
    granted.catch(() => {});        // onerror has it
    return granted;
  }

  /**
   * Subscribes to a channel or pattern. `callback(payload, sender, info, channel)` gets its messages, as onpublish does:
   * those of the history first, then live ones, each once. Asked again for the same channel, its options are added to
   * those it has, and there is no history.
   */
  subscribe(channel, callback, options = {}) {
    let entry = this._subscriptions.get(channel);
    if (!entry) this._subscriptions.set(channel, entry = { callbacks: [], options: {}, ...options.since });
    Object.assign(entry.options, options, { since: undefined });
    if (callback) entry.callbacks.push(callback);
    return this._call('SUBSCRIBE', [channel, this._asked(entry)]);
  }

  unsubscribe(...channels) {
    channels.forEach((channel) => this._subscriptions.delete(channel));
    return this._call('UNSUBSCRIBE', channels);
  }

  /** Where we are in a channel: {epoch, offset}, to subscribe `since` there another time; null before it is known. */
  position(channel) {
    const { epoch, offset } = this._subscriptions.get(channel) || {};
    return placed(epoch) && offset !== undefined ? { epoch, offset } : null;
  }

  /** Who is in a channel that was subscribed with `presence`: names, kept up to date; null where the server does not tell. */
  members(channel) {
    const { members } = this._subscriptions.get(channel) || {};
    return members ? [...members] : null;
  }

  /** Resolves to {offset}. `options.id`, a text of your own or true for one of ours, makes a repeated publish count once. */
  publish(channel, payload, options) {
    const { id, key } = options || {}, asked = {};
    if (id != null) asked.id = id === true ? unique() : id;
    if (key != null) asked.key = key;
    return this._call('PUBLISH', Object.keys(asked).length ? [channel, payload, asked] : [channel, payload]);
  }

  /**
   * To all sessions of a user; resolves to {sessions}, rejects when there is none. With `report`, `delivered` beside it is
   * a promise of what became of each: [{state, reason}], `unknown` where our own session ended before we were told.
   */
  send(user, payload, { report = false } = {}) {
    return this._call('SEND', report ? [user, payload, { report }] : [user, payload]);
  }

  /** One page of who is in a channel, and how many in all. */
  presence(channel, options = {}) { return this._call('PRESENCE', [channel, options]); }

  /** What is kept of a channel, from its oldest message on; as many pages as `limit` messages take (Infinity: all). */
  history(channel, options) {
    const all = this._pages(channel, options);
    all.catch(() => {});        // onerror has it
    return all;
  }

  /** Asks the application behind the server. */
  call(name, payload) { return this._call('CALL', [name, payload]); }

  /** Ends the session. onclose('clean') follows. */
  disconnect() {
    this._wanted = false;
    clearTimeout(this._timer);
    const done = this.connected ? this._call('DISCONNECT', []).catch(() => {}) : Promise.resolve();
    if (this.csp.readyState <= CSP.CometSession.OPEN) this.csp.close();
    else if (this.csp.readyState === CSP.CometSession.CLOSED) this._closed('clean', '');     // between two sessions
    return done.then(() => {});
  }

  /** Moves to other transports now, and uses them for later sessions too. */
  switchTo(transports) {
    this.options.transports = transports;
    this.csp.switchTo(transports);
  }

  // Calls.

  _promise(verb, keep) {
    const promise = new Promise((resolve, reject) => keep({ resolve, reject, verb }));
    promise.catch((error) => verb === 'DISCONNECT' || this._emit('onerror', error));    // so that nobody has to await it
    return promise;
  }

  _call(verb, args) {
    return this._promise(verb, (entry) => {
      if (!this._wanted && verb !== 'DISCONNECT') return entry.reject(new RevolvedError('not connected', 'closed', verb));
      if (this._queue.length >= QUEUE_MAX) return entry.reject(new RevolvedError('too many calls wait', 'overflow', verb));
      const call = { ...entry, id: this._nextId++, args };
      if (this.connected) this._write(call); else this._queue.push(call);
    });
  }

  _write(call) {
    this._pending.set(call.id, call);
    call.as = this.options.user;
    call.at = call.at || Date.now();
    if (call.verb === 'SEND' && call.args[2]) this._report(call);
    this.csp.write(JSON.stringify([call.id, call.verb, call.args]) + '\n');
  }

  // The session's life.

  /** Who we are is said in one place, AUTH; a token in the handshake only lets us in. */
  _dial() {
    const { url = home, transports, token, duration, timeouts } = this.options;
    this._text = '';
    this.csp.connect(url.replace(/\/$/, '') + '/_/revolved/csp', { transports, token, duration, timeouts });
  }

  /** A new session: sign in, take the subscriptions back, then let the waiting calls go. */
  _opened() {
    const again = this._everOpen, { user, credentials } = this.options;
    this._everOpen = true;
    this.connected = true;
    const now = Date.now(), outlived = (call) => call.again && (call.as !== user || now - call.at > ONCE_MS);
    const waiting = this._queue.splice(0).filter((call) => !outlived(call) || this._lost(call, 'and too much has changed'));
    const ready = (granted) => {
      this._tries = 0;
      this.user = granted;
      this._settle('resolve', granted);
      this._emit('onopen', granted, !!again);
    };
    if (user == null && credentials == null) ready(null);
    else this.auth(user, credentials).then(ready, (error) => this._settle('reject', error));
    const asked = new Set(waiting.map((call) => call.verb === 'SUBSCRIBE' && call.args[0]));
    for (const [channel, entry] of this._subscriptions) if (!asked.has(channel)) this._resume(channel, entry);
    waiting.forEach((call) => this._write(call));
  }

  _resume(channel, entry) {
    const told = (answer) => this._emit('onresumed', channel, answer);
    this._call('SUBSCRIBE', [channel, this._asked(entry)]).then(told, () => {});
  }

  /** The options of SUBSCRIBE; after a lost session, what was missed, or else what is kept. */
  _asked({ options, here, epoch, offset }) {
    return placed(epoch) && !here ? { ...options, since: { epoch, offset } } : options;
  }

  _closed(reason, detail) {
    this.connected = false;
    const lost = [...this._pending.values()];
    this._pending.clear();
    for (const entry of this._subscriptions.values()) entry.here = false;
    for (const id of this._reports.keys()) this._reported(id, null);
    // Only a WebSocket closes with a code: over the others the goodbye in front of the end has said what it was.
    const { code, text, reconnect, after_ms: after = 0 } = this._bye || {};
    if (ENDS[code]) [reason, detail] = [ENDS[code], text];
    const unwelcome = ['refused', 'kicked', 'token'].includes(reason);
    if (unwelcome || reconnect === false) this._wanted = false;
    if (!this._wanted) lost.push(...this._queue.splice(0));
    const repeated = this._wanted ? lost.filter(mayRepeat) : [];
    this._queue.unshift(...repeated);
    lost.filter((call) => !repeated.includes(call)).forEach((call) => this._lost(call, reason));
    if (this._wanted) {
      const pause = Math.min(RETRY_MS[1], RETRY_MS[0] * 2 ** this._tries++) * (0.5 + Math.random() / 2);
      this._timer = setTimeout(() => this._dial(), after + pause);
    } else this._settle('reject', new RevolvedError(detail || reason, unwelcome ? reason : 'closed', 'CONNECT'));
    this._bye = null;
    this._emit('onclose', reason, this._wanted, detail);
  }

  _lost(call, reason) { call.reject(new RevolvedError(`session ended (${reason})`, 'closed', call.verb)); }

  _settle(how, value) {
    const entry = this._connecting;
    this._connecting = null;
    if (entry) entry[how](value);
  }

  // What the server says.

  _read(text) {
    const lines = (this._text + text).split('\n');
    this._text = lines.pop();
    for (const line of lines) {
      let frame;
      try { frame = JSON.parse(line); } catch (e) {
        if (line.trim()) this._emit('onerror', new RevolvedError('not a frame: ' + line.slice(0, 80), 'protocol'));
        continue;
      }
      this._frame(frame[0], frame[1] || []);
    }
  }

  _frame(verb, args) {
    switch (verb) {
      case 'OK': return this._answered(args[0], (call) => {
        if (call.verb === 'SUBSCRIBE') this._subscribed(call.args[0], args[1] || {});
        call.resolve(this._reports.has(args[0]) ? this._promised(args[0], args[1]) : args[1]);
      });
      case 'ERR': return this._answered(args[0], (call) => {
        if (call.verb === 'SUBSCRIBE') this._subscriptions.delete(call.args[0]);
        this._reports.delete(args[0]);
        call.reject(new RevolvedError(args[1], args[2], call.verb));
      });
      case 'PUBLISH': return this._publish(...args);
      case 'SEND': return this._emit('onreceive', args[0], args[1]);
      case 'DELIVERY': return this._reported(args[0], { state: args[1], reason: args[2] });
      case 'JOIN': return this._moved('onjoin', args[0], args[1]);
      case 'LEAVE': return this._moved('onleave', args[0], args[1]);
      case 'SUBSCRIBED': return this._emit('onsubscribed', args[0]);
      case 'UNSUBSCRIBED':
        this._subscriptions.delete(args[0]);
        return this._emit('onunsubscribed', args[0]);
      case 'GAP': return this._missed(args[0], args[1] || {});
      case 'BYE':
        this._bye = { ...args[2], code: args[0], text: args[1] };
        return this._emit('onbye', args[0], args[1], args[2] || {});
    }
  }

  _answered(id, settle) {
    const call = this._pending.get(id);
    this._pending.delete(id);
    if (call) settle(call);
  }

  /** Where the channel stands, the messages kept for us: [{offset, sender, payload}], and who is there. */
  _subscribed(channel, { epoch = '0', offset = 0, recovered, messages = [], members, more }) {
    const entry = this._subscriptions.get(channel);
    if (!entry) return;
    if (members) this._listed(channel, entry, members, more); else entry.members = null;
    // Who was here already has been sent what came meanwhile, and may yet be sent some that this answer counts.
    if (entry.here) return;
    entry.here = true;
    const { epoch: known, offset: last } = entry, same = known === epoch && placed(epoch);
    const fresh = messages.filter((message) => !(same && message.offset <= last));
    if (known !== undefined && !recovered) {
      const missed = same ? offset - last - fresh.length : null;
      if (missed !== 0) this._gap(channel, missed, same && { epoch, offset: last });
    }
    Object.assign(entry, { epoch, offset: same ? last : 0 });
    for (const { sender = null, payload, ...info } of fresh) this._publish(channel, sender, payload, { ...info, history: true });
    entry.offset = offset;
  }

  _publish(channel, sender, payload, info = {}) {
    const entry = this._subscriptions.get(channel);
    if (entry && info.offset > (entry.offset || 0)) entry.offset = info.offset;
    this._emit('onpublish', channel, sender, payload, info);
    for (const [pattern, { callbacks }] of this._subscriptions) {
      if (matches(pattern, channel)) callbacks.forEach((callback) => guard(() => callback(payload, sender, info, channel)));
    }
  }

  // What was missed.

  async _pages(channel, { limit = PAGE_MAX, ...options } = {}) {
    for (let next = options, all = []; ;) {
      const page = await this._call('HISTORY', [channel, { ...next, limit: Math.min(limit - all.length, PAGE_MAX) }]);
      all.push(...page.messages);
      const last = page.messages[page.messages.length - 1];
      if (!page.more || !last || all.length >= limit) return { ...page, messages: all };
      const backwards = options.reverse || options.before !== undefined;
      next = backwards ? { before: last.offset } : { since: { epoch: page.epoch, offset: last.offset } };
    }
  }

  /** The server skipped some for us, since we did not keep up: those behind the last that we have. */
  _missed(channel, { missed = null }) {
    const at = this.position(channel);
    if (at && missed) this._subscriptions.get(channel).offset += missed;
    this._gap(channel, missed, at);
  }

  /** `at` is in front of the gap. Between the end of the gap and now a message may go, so what is fetched may be less. */
  _gap(channel, missed, at) {
    const fetch = async () => {
      if (!at || !missed) return [];
      const { messages } = await this.history(channel, { since: at, limit: missed });
      return messages.filter(({ offset }) => offset <= at.offset + missed);
    };
    this._emit('ongap', channel, { missed, fetch });
  }

  // Who is there.

  _listed(channel, entry, members, more) {
    entry.members = new Set(members);
    this._told(channel);
    if (more) this._listMore(channel, entry, members[members.length - 1]);
  }

  /** Pages come in the order of names; who comes and goes between them is told too. */
  async _listMore(channel, entry, after) {
    const page = await this.presence(channel, { after }).catch(() => ({}));
    if (!page.members || this._subscriptions.get(channel) !== entry || !entry.members) return;
    page.members.forEach(({ user }) => entry.members.add(user));
    this._told(channel);
    if (page.more) await this._listMore(channel, entry, page.members[page.members.length - 1].user);
  }

  _moved(event, channel, user) {
    const { members } = this._subscriptions.get(channel) || {};
    if (members) members[event === 'onjoin' ? 'add' : 'delete'](user);
    this._emit(event, channel, user);
    if (members) this._told(channel);
  }

  _told(channel) {
    if (this.onmembers) this._emit('onmembers', channel, this.members(channel));
  }

  // What became of what was sent: the last word on each recipient, before or behind the answer that says how many there are.

  _report({ id }) { this._reports.set(id, { fates: [] }); }

  _promised(id, answer) {
    const report = this._reports.get(id), delivered = new Promise((resolve) => Object.assign(report, { resolve, sessions: answer.sessions }));
    this._finish(id, report);
    return { ...answer, delivered };
  }

  /** `null`: we shall not be told any more. */
  _reported(id, fate) {
    const report = this._reports.get(id);
    if (!report) return;
    if (fate) report.fates.push(fate);
    else while (report.fates.length < report.sessions) report.fates.push({ state: 'unknown', reason: 'closed' });
    if (fate || report.resolve) this._finish(id, report); else this._reports.delete(id);
  }

  _finish(id, { fates, sessions, resolve }) {
    if (fates.length < sessions || !resolve) return;
    this._reports.delete(id);
    resolve(fates);
  }

  _emit(name, ...args) {
    if (this[name]) guard(() => this[name](...args));
  }
}

/** Whether an epoch is one of a channel; a pattern has no place to come back to. */
function placed(epoch) { return epoch !== undefined && epoch !== '0'; }

/** A publish that has an id, the first time that its answer is lost: without a user name a session's ids are its own. */
function mayRepeat(call) {
  return call.verb === 'PUBLISH' && call.args[2] && call.as != null && !call.again && (call.again = true);
}

const unique = () => Math.random().toString(36).slice(2) + Math.random().toString(36).slice(2);

/** `a/*` is one segment more, `a/**` any rest. */
function matches(pattern, channel) {
  if (pattern === channel) return true;
  const [, head, stars] = /^(.*?)(\*\*?)$/.exec(pattern) || [];
  if (!stars || !channel.startsWith(head)) return false;
  return stars === '**' || !channel.slice(head.length).includes('/');
}

/** The application's mistakes are reported as errors of the page and do not stop the stream. */
function guard(callback) {
  try { callback(); } catch (error) { setTimeout(() => { throw error; }); }
}

Revolved.RevolvedError = RevolvedError;
Object.assign(globalThis, { Revolved, RevolvedError });
if (typeof module === 'object' && module.exports) module.exports = Revolved;
})();
