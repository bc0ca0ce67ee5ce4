// The Bayeux clients of CometD and Faye in node, each counting what comes.
'use strict';

const { until } = require('./harness.js');

/** CometD's client is written for a page; it runs here with a page's XMLHttpRequest and WebSocket, and no cookies. */
async function cometd() {
  const { adapt } = await import('cometd-nodejs-client'), { CometD } = await import('cometd'), { AckExtension } = await import('cometd/AckExtension.js');
  adapt({ storeCookie: (context, uri, cookie, done) => done(null), retrieveCookies: (context, uri, done) => done(null, []) });
  return { CometD, AckExtension };
}

/** A client of CometD that has shaken hands over `transport`, with the acknowledgement extension if `acks`. */
async function connect(after, url, { transport, acks, ...config }) {
  const { CometD, AckExtension } = await cometd(), client = new CometD();
  const others = ['websocket', 'long-polling', 'callback-polling'].filter((name) => name !== transport);
  others.forEach((name) => client.unregisterTransport(name));
  if (acks) client.registerExtension('ack', new AckExtension());
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

module.exports = { connect, reply, faye };
