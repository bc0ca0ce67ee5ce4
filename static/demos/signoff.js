// A client that can be told to be a bad one, by long-polls of CSP, and beside it what its application hears of that.
// The client's page cannot read the application's port of the server; it asks the application itself (tests/demo_app.py).
'use strict';

const BASE = '/_/revolved/csp', PORT = new URLSearchParams(location.search).get('app') || '5000';
const APP = `${location.protocol}//${location.hostname}:${PORT}`;
const $ = (id) => document.getElementById(id);
// Of this page alone.
const channel = 'demo/signoff-' + Math.random().toString(36).slice(2, 10);

function line(list, text, kind) {
  const item = document.createElement('li');
  item.textContent = text;
  if (kind) item.className = kind;
  list.append(item);
  return item;
}

/** The result of a request, which CSP puts into brackets. */
async function ask(path, body, signal) {
  const answer = await fetch(BASE + path, { method: body === undefined ? 'GET' : 'POST', body, signal });
  if (!answer.ok) throw new Error(answer.status);
  return JSON.parse((await answer.text()).slice(1, -1));
}

/** A session: what it has acknowledged is `acked`; `calls` are lines of Revolved. */
class Client {
  constructor() { this.acked = 0; this.packet = 0; this.leaves = new AbortController(); this.mute = false; this.open = []; }

  async begin() {
    this.key = (await ask('/handshake?transport=longpoll&du=1', '{"encodings":[2]}')).session;
    await this.call('SUBSCRIBE', channel);
    state('here, on long-polls');
    this.listen();
  }

  call(verb, ...args) {
    const text = JSON.stringify([++this.packet, verb, args]) + '\n';
    return ask(`/send?s=${this.key}`, JSON.stringify([[this.packet, 2, text]]));
  }

  /** Asks again and again. Each request acknowledges what the ones before brought; who is mute does not come back. */
  async listen() {
    while (!this.leaves.signal.aborted) {
      try {
        const packets = await ask(`/comet?s=${this.key}&a=${this.acked}`, undefined, this.leaves.signal);
        for (const item of this.open.splice(0)) item.className = 'has';
        for (const [id, , text] of packets) this.take(id, text);
        if (this.mute && this.open.length) return state('silent: it takes nothing more');
      } catch (error) {
        return this.leaves.signal.aborted || over('gone: ' + error.message);
      }
    }
  }

  take(id, text) {
    this.acked = id;
    const [verb, args] = JSON.parse(text);
    if (verb === 'PUBLISH') this.open.push(line($('got'), args[2], 'open'));
  }

  cut() { this.leaves.abort(); over('cut off; its session waits for it'); }

  async close() {
    this.leaves.abort();
    over('said goodbye');
    await fetch(`${BASE}/close?s=${this.key}&a=${this.acked}`, { method: 'POST' });
  }
}

function state(text) { $('state').textContent = text; }

function over(text) {
  state(text);
  for (const name of ['mute', 'cut', 'close']) $(name).hidden = true;
  $('again').hidden = false;
}

// Whoever sends is another session, which lasts: a bare WebSocket.
const sender = new WebSocket(`${location.protocol.replace('http', 'ws')}//${location.host}/_/revolved/ws`);
let client = null, sent = 0;

async function begin() {
  $('got').replaceChildren();
  for (const name of ['mute', 'cut', 'close']) $(name).hidden = false;
  $('again').hidden = true;
  $('mute').setAttribute('aria-pressed', 'false');
  client = new Client();
  await client.begin().catch((error) => over('refused: ' + error.message));
}

$('send').onclick = () => { sent++; sender.send(JSON.stringify([sent, 'PUBLISH', [channel, `message ${sent}`]]) + '\n'); };
$('mute').onclick = () => { client.mute = true; $('mute').setAttribute('aria-pressed', 'true'); };
$('cut').onclick = () => client.cut();
$('close').onclick = () => client.close();
$('again').onclick = begin;

/** What the application was told, of whatever session: of this page's it is marked. */
let since = 0;
const marks = new Map();

function tell(event) {
  const mine = client && event.session === client.key;
  const who = marks.get(event.session) || (mine ? 'the client' : 'somebody');
  marks.set(event.session, who);
  const left = event.undelivered || [];
  const what = event.event === 'signoff' ? `signoff of ${who}, ${event.reason}, ${left.length} not delivered` : `${event.event} of ${who}`;
  line($('told'), `${what} (${event.transport}, ${event.node})`);
  if (mine && event.event === 'signoff') state('signed off');
  for (const message of left) line($('told'), `${message.channel} ${message.offset}: ${JSON.parse(message.body)}`, 'lost');
}

async function hear() {
  let there = true;
  try {
    const { events, next } = await (await fetch(`${APP}/told?since=${since}`)).json();
    events.filter((event) => event.session === client?.key || marks.has(event.session)).forEach(tell);
    since = next;
  } catch {
    there = false;
  }
  $('app').textContent = there ? APP.split('//')[1] : 'not there';
  $('how').hidden = $('commands').hidden = there;
  $('told').hidden = !there && !marks.size;
  setTimeout(hear, 300);
}

$('commands').textContent = `python3 tests/demo_app.py ${PORT}\norbited --session-timeout 3s --callback 'http://127.0.0.1:${PORT}/orbited events=signon,signoff'`;
begin().then(hear);
