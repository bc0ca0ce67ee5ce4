/*
 * Revolved.js: publish and subscribe in a browser, on a Comet session (load CSP.js first).
 *
 *   const r = new Revolved();
 *   await r.connect('ann');
 *   r.subscribe('chat', (payload, sender) => console.log(sender, payload));
 *   r.publish('chat', { text: 'hello' });
 *
 * Every call returns a promise, and none has to be awaited: calls go out in the order they were made, also while the
 * connection is being made. A session survives its connections. When it is lost itself (the server forgot it, was
 * restarted, or had more for it than it may keep) a new one is opened, signed in, and subscribed again from the last
 * message seen in each channel; what the server no longer has is told by ongap, never left out silently. Only who was
 * refused, kicked, or told to stay away by the server's goodbye stays away. Types are in Revolved.d.ts.
 *
 * On the wire: one JSON array per line. [id, VERB, args] is answered by ["OK",[id, result]] or ["ERR",[id, text, code]].
 */
(function () {
'use strict';

const RETRY_MS = [250, 10000];      // first and longest pause before a new session
const QUEUE_MAX = 1000;             // calls that wait for a new session
const KICKED = 4403;                // the code of the goodbye, and of the WebSocket's close, when the application ended the session

const EVENTS = ['open', 'publish', 'receive', 'join', 'leave', 'subscribed', 'unsubscribed', 'gap', 'bye', 'close', 'error', 'transport'];

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
    this._subscriptions = new Map();   // channel or pattern -> {options, callbacks, epoch, offset}
    this._pending = new Map();         // id -> {resolve, reject, verb}
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

  /** Signs in as another user. */
  auth(user, credentials) {
    Object.assign(this.options, { user, credentials });
    const granted = this._call('AUTH', credentials == null ? [user] : [user, credentials]).then((name) => (this.user = name));
    granted.catch(() => {});        // onerror has it
    return granted;
  }

  /**
   * Subscribes to a channel or pattern. `callback(payload, sender, info, channel)` gets its messages, as onpublish does:
   * those of the history first, then live ones, each once.
   */
  subscribe(channel, callback, options = {}) {
    let entry = this._subscriptions.get(channel);
    if (!entry) this._subscriptions.set(channel, entry = { callbacks: [] });
    entry.options = options;
    if (callback) entry.callbacks.push(callback);
    return this._call('SUBSCRIBE', Object.keys(options).length ? [channel, options] : [channel]);
  }

  unsubscribe(...channels) {
    channels.forEach((channel) => this._subscriptions.delete(channel));
    return this._call('UNSUBSCRIBE', channels);
  }

  /** Resolves to {offset}. `options.id` makes a repeated publish count once. */
  publish(channel, payload, options) {
    return this._call('PUBLISH', options ? [channel, payload, options] : [channel, payload]);
  }

  /** To all sessions of a user; resolves to {sessions}, rejects when there is none. */
  send(user, payload) { return this._call('SEND', [user, payload]); }
  presence(channel, options = {}) { return this._call('PRESENCE', [channel, options]); }
  history(channel, options = {}) { return this._call('HISTORY', [channel, options]); }
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
    const waiting = this._queue.splice(0), ready = (granted) => {
      this._tries = 0;
      this.user = granted;
      this._settle('resolve', granted);
      this._emit('onopen', granted, !!again);
    };
    if (user == null) ready(null);
    else this.auth(user, credentials).then(ready, (error) => this._settle('reject', error));
    const asked = new Set(waiting.map((call) => call.verb === 'SUBSCRIBE' && call.args[0]));
    for (const [channel, entry] of this._subscriptions) if (!asked.has(channel)) this._resume(channel, entry);
    waiting.forEach((call) => this._write(call));
  }

  _resume(channel, { options, epoch, offset }) {
    const since = epoch === undefined ? {} : { since: { epoch, offset }, history: undefined };
    this._call('SUBSCRIBE', [channel, { ...options, ...since }]);
  }

  _closed(reason, detail) {
    this.connected = false;
    const lost = [...this._pending.values()];
    this._pending.clear();
    // Only a WebSocket closes with a code: over the others the goodbye in front of the end has said what it was.
    const { code, text, reconnect, after_ms: after = 0 } = this._bye || {};
    if (code === KICKED) [reason, detail] = ['kicked', text];
    const unwelcome = reason === 'refused' || reason === 'kicked';
    if (unwelcome || reconnect === false) this._wanted = false;
    if (!this._wanted) lost.push(...this._queue.splice(0));
    lost.forEach((call) => call.reject(new RevolvedError(`session ended (${reason})`, 'closed', call.verb)));
    if (this._wanted) {
      const pause = Math.min(RETRY_MS[1], RETRY_MS[0] * 2 ** this._tries++) * (0.5 + Math.random() / 2);
      this._timer = setTimeout(() => this._dial(), after + pause);
    } else this._settle('reject', new RevolvedError(detail || reason, unwelcome ? reason : 'closed', 'CONNECT'));
    this._bye = null;
    this._emit('onclose', reason, this._wanted, detail);
  }

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
        call.resolve(args[1]);
      });
      case 'ERR': return this._answered(args[0], (call) => {
        if (call.verb === 'SUBSCRIBE') {
          // A server that keeps no history and no presence: the messages to come, then, without the rest.
          if (args[2] === 'not-offered' && call.args[1]) return this._write({ ...call, id: this._nextId++, args: [call.args[0]] });
          this._subscriptions.delete(call.args[0]);
        }
        call.reject(new RevolvedError(args[1], args[2], call.verb));
      });
      case 'PUBLISH': return this._publish(...args);
      case 'SEND': return this._emit('onreceive', args[0], args[1]);
      case 'JOIN': return this._emit('onjoin', args[0], args[1]);
      case 'LEAVE': return this._emit('onleave', args[0], args[1]);
      case 'SUBSCRIBED': return this._emit('onsubscribed', args[0]);
      case 'UNSUBSCRIBED':
        this._subscriptions.delete(args[0]);
        return this._emit('onunsubscribed', args[0]);
      case 'GAP': return this._emit('ongap', args[0], args[1] || {});
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

  /** Where the channel stands, and the messages kept for us: [{offset, sender, payload}]. */
  _subscribed(channel, { epoch, offset, recovered, messages = [] }) {
    const entry = this._subscriptions.get(channel);
    if (!entry) return;
    if (entry.epoch !== undefined && !recovered) {
      const missed = entry.epoch === epoch ? offset - entry.offset - messages.length : null;
      if (missed !== 0) this._emit('ongap', channel, { missed });
    }
    if (entry.epoch !== epoch) Object.assign(entry, { epoch, offset: undefined });
    for (const message of messages) {
      const { channel: name = channel, sender = null, payload, ...info } = message;
      this._publish(name, sender, payload, { ...info, history: true });
    }
    if (offset !== undefined && !(entry.offset > offset)) entry.offset = offset;
  }

  _publish(channel, sender, payload, info = {}) {
    const entry = this._subscriptions.get(channel);
    if (entry && info.offset !== undefined) {
      if (info.offset <= entry.offset) return;
      entry.offset = info.offset;
    }
    this._emit('onpublish', channel, sender, payload, info);
    for (const [pattern, { callbacks }] of this._subscriptions) {
      if (matches(pattern, channel)) callbacks.forEach((callback) => guard(() => callback(payload, sender, info, channel)));
    }
  }

  _emit(name, ...args) {
    if (this[name]) guard(() => this[name](...args));
  }
}

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
