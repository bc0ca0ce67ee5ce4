// The Bayeux clients of CometD and Faye in node, each counting what comes.
'use strict';

const fs = require('node:fs');
const vm = require('node:vm');
const { until } = require('./harness.js');

/** CometD's client is written for a page; it runs here with a page's XMLHttpRequest and WebSocket, and no cookies. */
async function cometd() {
  const { adapt } = await import('cometd-nodejs-client'), { CometD } = await import('cometd'), { AckExtension } = await import('cometd/AckExtension.js');
  adapt({ storeCookie: (context, uri, cookie, done) => done(null), retrieveCookies: (context, uri, done) => done(null, []) });
  return { CometD, AckExtension };
}

/** A client of CometD that has shaken hands over `transport`, with the acknowledgement extension if `acks`. */
async function connect(after, url, { transport, acks, extensions = {}, ...config }) {
  const { CometD, AckExtension } = await cometd(), client = new CometD();
  const others = ['websocket', 'long-polling', 'callback-polling'].filter((name) => name !== transport);
  others.forEach((name) => client.unregisterTransport(name));
  if (acks) client.registerExtension('ack', new AckExtension());
  for (const [name, extension] of Object.entries(extensions)) client.registerExtension(name, extension);
  client.configure({ url: url + '/cometd', logLevel: 'error', ...config });
  let shaken = null;
  client.handshake((reply) => { shaken = reply; });
  after(() => new Promise((resolve) => { client.disconnect(resolve); setTimeout(resolve, 500); }));
  await until('the handshake', () => shaken?.successful);
  return client;
}

/** What of CometD's calls takes a callback, as a promise of the reply. */
const reply = (call) => new Promise((resolve) => call(resolve));

/** A client of Faye, over WebSocket or not. */
function faye(after, url, { transport }) {
  const { Client } = require('faye'), client = new Client(url + '/bayeux', { retry: 0.2 });
  if (transport !== 'websocket') client.disable('websocket');
  after(() => client.disconnect());
  return client;
}

/** What Faye's client for pages needs of XMLHttpRequest, for a page at `origin`. */
const requests = (origin) => class {
  withCredentials = false;
  readyState = 0;
  #headers = { Origin: origin };
  open(method, url) { Object.assign(this, { method, url: String(new URL(url, origin)) }); }
  setRequestHeader(name, value) { this.#headers[name] = value; }
  getResponseHeader(name) { return this.answer.headers.get(name); }
  abort() { this.readyState = 0; }
  async send(body) {
    // What a page sends without a word of its type.
    const headers = { 'Content-Type': 'text/plain;charset=UTF-8', ...this.#headers };
    try {
      this.answer = await fetch(this.url, { method: this.method, headers, body });
      this.responseText = await this.answer.text();
    } catch {
      this.onerror?.();
    }
    Object.assign(this, { readyState: 4, status: this.answer?.status ?? 0 });
    this.onreadystatechange?.();
    if (this.answer) this.onload?.();
  }
};

/** Faye's client for pages, in a page at `origin` that has no WebSocket. */
function page(after, url, origin) {
  const code = fs.readFileSync(require.resolve('faye/client/faye-browser.js'), 'utf8');
  const window = vm.createContext({
    URL, console, setTimeout, clearTimeout, setInterval, clearInterval, navigator: {},
    location: new URL(origin), XMLHttpRequest: requests(origin), addEventListener() {},
    EventSource: class extends EventSource { constructor(...args) { super(...args); after(() => this.close()); } },
  });
  // A script is fetched and run when it is put into the page: so its first words are said, before it knows what else there is.
  const head = { removeChild() {}, async appendChild(script) { vm.runInContext(await (await fetch(script.src)).text(), window); } };
  const document = { createElement: () => ({ parentNode: head }), getElementsByTagName: () => [head] };
  Object.assign(window, { window, self: window, global: window, document });
  vm.runInContext(code, window);
  const client = new window.Faye.Client(url + '/bayeux', { retry: 0.2 });
  after(() => client.disconnect());
  return client;
}

module.exports = { connect, reply, faye, page };
