// A CSP server that does what a test says, where a real one would not, or not on request. It speaks over long-polls and
// WebSockets, grants every handshake, and acknowledges whatever is sent.
'use strict';

const http = require('node:http');
const { Server } = require('ws');

/**
 * `play.handshake(response)`, `play.send(response)` and `play.comet(response)` answer a request, by its nth of the kind
 * as `this.counts` has it; `play.socket(socket)` has a WebSocket that opened. What is not played is done in the usual way.
 */
async function fake(after, play) {
  const sockets = new Server({ noServer: true });
  const self = {
    counts: { handshake: 0, send: 0, comet: 0, upgrade: 0 },
    /** An answer as the server frames it for our client. */
    say(response, value) { response.writeHead(200, { 'Content-Type': 'text/plain' }).end(`(${JSON.stringify(value)})`); },
  };
  const usual = {
    handshake: (response) => self.say(response, { session: `key${self.counts.handshake}`, encoding: 2 }),
    send: (response) => self.say(response, 'OK'),
    comet: () => {},
    upgrade: (request, socket, head) => sockets.handleUpgrade(request, socket, head, (open) => play.socket(open)),
  };
  const does = (name) => { self.counts[name]++; return play[name] || usual[name]; };
  const listener = http.createServer((request, response) => {
    const name = /(\w+)\?/.exec(request.url)[1];
    request.resume().on('end', () => does(name)(response));
  });
  listener.on('upgrade', (...args) => does('upgrade')(...args));
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  after(() => { listener.close(); listener.closeAllConnections(); sockets.clients.forEach((socket) => socket.terminate()); });
  self.url = `http://127.0.0.1:${listener.address().port}`;
  return self;
}

module.exports = { fake };
