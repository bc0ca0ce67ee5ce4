/*
 * Orbited.js: what the application sends to this page, as in Orbited 0.3: one open response, and nothing the other way.
 *
 *   Orbited.connect((data) => console.log(data), 'ann', '/chat', '0');
 *
 * The application names the page `ann, 0, /chat` (OP 1.0), or sends to the user. Of pages with one key the last to come is
 * the one, and the others are closed: who has several tabs gives each a session of its own. What is sent while no
 * connection is there is lost; CSP.js and Revolved.js lose nothing. Types are in Orbited.d.ts.
 */
(function () {
'use strict';

const RETRY_MS = [500, 15000];      // first and longest pause before the next connection
const STEADY_MS = 5000;             // a connection that lasted so long was a good one
const BOUNDARY = '\r\n|O|\r\n';
// The real EventSource wants a type and field names of later than 2008: events are read from a stream here too.
const READERS = { xhr_stream: readParts, server_sent_events: readEvents };

const script = typeof document === 'object' && document.currentScript;
const home = script && script.src ? new URL(script.src).origin : globalThis.location ? location.origin : '';

/** Takes whole messages off the front of `text`; gives back the rest. The first of them ends the dots in front of all. */
function readParts(text, take) {
  const parts = text.replace(/^\.+\r\n\r\n/, '').split(BOUNDARY);
  const rest = parts.pop();
  for (const part of parts) if (part !== '' && part !== 'ping') take(part);
  return rest;
}

/** The same of events. */
function readEvents(text, take) {
  const events = text.split('\n\n');
  const rest = events.pop();
  for (const event of events) {
    const lines = event.split('\n');
    if (lines.includes('Event: orbited')) take(lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n'));
  }
  return rest;
}

/** JSON where it is some: the clients of 2008 evaluated it. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Calls `callback` with all that is sent to this page. `close()` of what it gives back ends that. */
function connect(callback, user, location, session = '0', transport = 'xhr_stream') {
  const kind = READERS[transport] ? transport : 'xhr_stream';
  const query = new URLSearchParams({ user, session, transport: kind });
  if (Orbited.token) query.set('token', Orbited.token);
  const below = location.startsWith('/_/') ? '' : '/_/orbit';
  const url = (Orbited.url || home) + below + location + '?' + query;
  const leaving = new AbortController();
  let pause = 0, timer = null;

  // A callback that fails is its page's fault: what follows is read all the same.
  const take = (text) => {
    if (leaving.signal.aborted) return;
    try {
      callback(parse(text));
    } catch (error) {
      setTimeout(() => { throw error; });
    }
  };

  async function read() {
    const response = await fetch(url, { signal: leaving.signal, cache: 'no-store' });
    if (!response.ok) {
      response.body?.cancel();
      return response.status < 500 || response.status === 500 ? refused(response.status) : undefined;
    }
    const decoder = new TextDecoder(), reader = response.body.getReader();
    for (let rest = ''; ;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest = READERS[kind](rest + decoder.decode(value, { stream: true }), take);
    }
  }

  function refused(status) {
    leaving.abort();
    Orbited.onrefused?.(status, location);
  }

  async function run() {
    const begun = Date.now();
    await read().catch(() => {});
    if (leaving.signal.aborted) return;
    if (Date.now() - begun > STEADY_MS) pause = 0;
    pause = Math.min(Math.max(pause * 2, RETRY_MS[0]), RETRY_MS[1]);
    timer = setTimeout(run, pause * (1 - Math.random() / 4));
  }

  run();
  return { close() { clearTimeout(timer); leaving.abort(); } };
}

/** `url`: another server's origin. `token`: what proves who the user is, where the server checks. */
const Orbited = { connect, url: '', token: '', onrefused: null };

if (typeof module === 'object' && module.exports) module.exports = Orbited;
else globalThis.Orbited = Orbited;
})();
