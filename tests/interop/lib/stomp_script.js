// A script of STOMP for any server that speaks it: each case says some frames byte by byte, and gives what came of it in one line.
'use strict';

const net = require('node:net');
const { until } = require('./harness.js');
const WebSocket = require('ws');

/** A connection to a server, `{ stomp: 'address:port', web: 'ws://…' }`, as its bytes: what is said is written as it is, what comes is cut into frames. */
class Peer {
  frames = [];
  closed = false;
  #bytes = '';
  constructor(at) { this.at = at; }

  tcp() {
    const [host, port] = this.at.stomp.split(':'), socket = net.connect(Number(port), host);
    socket.on('data', (data) => this.#take(data.toString('latin1'))).on('error', () => {}).on('close', () => { this.closed = true; });
    this.write = (text) => socket.write(text, 'latin1');
    this.end = () => socket.destroy();
    return this;
  }

  async websocket(protocols) {
    const socket = new WebSocket(this.at.web, protocols);
    socket.on('message', (data, binary) => { this.binary = binary; this.#take(data.toString('latin1')); }).on('close', () => { this.closed = true; });
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    this.write = (text) => socket.send(text);
    this.end = () => socket.terminate();
    this.protocol = socket.protocol;
    return this;
  }

  /** One frame: a head of lines, a body. */
  say(head, body = '') { this.write(`${head}\n\n${body}\0`); }

  #take(text) {
    this.#bytes += text;
    for (;;) {
      const start = /[^\r\n]/.exec(this.#bytes)?.index, end = this.#bytes.indexOf('\n\n', start);
      if (start === undefined || end < 0) return;
      const [command, ...lines] = this.#bytes.slice(start, end).split('\n'), headers = {};
      for (const line of lines) headers[line.slice(0, line.indexOf(':'))] ??= line.slice(line.indexOf(':') + 1);
      const body = end + 2, last = 'content-length' in headers ? body + Number(headers['content-length']) : this.#bytes.indexOf('\0', body);
      if (last < 0 || last >= this.#bytes.length) return;
      this.frames.push({ command, headers, body: this.#bytes.slice(body, last) });
      this.#bytes = this.#bytes.slice(last + 1);
    }
  }

  of(command) { return this.frames.filter((frame) => frame.command === command); }
  /** Waits for what is expected, or for the end. */
  async got(what, condition) { await until(what, () => this.closed || condition()); }
  receipts(...names) { return this.got(`receipts ${names}`, () => names.every((name) => this.of('RECEIPT').some((frame) => frame.headers['receipt-id'] === name))); }
  messages(count) { return this.got(`${count} messages`, () => this.of('MESSAGE').length >= count); }

  /** What came, in one line. Receipts and messages have no order between them: RabbitMQ's have none. */
  line(...shown) {
    const said = [this.of('CONNECTED').map((frame) => frame.headers.version).join(' '), this.of('RECEIPT').map((frame) => 'receipt ' + frame.headers['receipt-id'])];
    const message = ({ headers, body }) => [`“${body}”`, ...shown.filter((name) => name in headers).map((name) => `${name}=${headers[name]}`)].join(' ');
    said.push(...this.of('MESSAGE').map(message), this.of('ERROR').length && 'ERROR', this.closed ? 'closed' : 'open');
    return said.flat().filter((word) => word).join(', ').replaceAll('\0', '^@');
  }
}

/** A client that is connected by 1.2, or what `head` says. */
async function connected(at, head = 'CONNECT\naccept-version:1.2\nhost:/') {
  const peer = new Peer(at).tcp();
  peer.say(head);
  await peer.got('CONNECTED', () => peer.of('CONNECTED').length);
  return peer;
}

/** Says frames to a client that is connected, and ends with a receipt for all. */
async function says(at, ...frames) {
  const peer = await connected(at);
  for (const [head, body] of frames) peer.say(head, body);
  peer.say('SEND\ndestination:/topic/nowhere\nreceipt:end', 'x');
  await peer.receipts('end');
  return peer;
}

/** Subscribes by `more`, sends each body, and has got all of them. */
async function reads(at, topic, more, ...bodies) {
  const peer = await connected(at);
  peer.say(`SUBSCRIBE\nid:0\ndestination:/topic/${topic}\nreceipt:on${more}`);
  await peer.receipts('on');
  for (const body of bodies) peer.say(`SEND\ndestination:/topic/${topic}`, body);
  await peer.messages(bodies.length);
  return peer;
}

const CONNECTS = {
  '1.0, 1.1 and 1.2 are spoken, the highest of those offered': async (at) => {
    const lines = [];
    for (const offer of ['', '\naccept-version:1.0', '\naccept-version:1.1', '\naccept-version:1.0,1.1,1.2', '\naccept-version:1.2,9.9']) {
      lines.push((await connected(at, `CONNECT${offer}\nhost:/`)).line());
    }
    return lines.join('; ');
  },
  'STOMP is CONNECT': async (at) => (await connected(at, 'STOMP\naccept-version:1.2\nhost:/')).line(),
  'no version in common': async (at) => (await connected(at, 'CONNECT\naccept-version:9.9\nhost:/')).line(),
  '1.2 without `host`': async (at) => (await connected(at, 'CONNECT\naccept-version:1.2')).line(),
  '`host` of another name': async (at) => (await connected(at, 'CONNECT\naccept-version:1.2\nhost:example.org')).line(),
  '`login` that nobody knows': async (at) => (await connected(at, 'CONNECT\naccept-version:1.2\nhost:/\nlogin:ann\npasscode:wrong')).line(),
  '`heart-beat:500,20000` of the client': async (at) => (await connected(at, 'CONNECT\naccept-version:1.2\nhost:/\nheart-beat:500,20000')).of('CONNECTED')[0].headers['heart-beat'],
  'no `heart-beat` of the client': async (at) => (await connected(at)).of('CONNECTED')[0].headers['heart-beat'],
  '`heart-beat` that is none': async (at) => (await connected(at, 'CONNECT\naccept-version:1.2\nhost:/\nheart-beat:x')).line(),
  'a second CONNECT': async (at) => (await says(at, ['CONNECT\naccept-version:1.2\nhost:/'])).line(),
  'SEND before CONNECT': async (at) => {
    const peer = new Peer(at).tcp();
    peer.say('SEND\ndestination:/topic/a', 'x');
    await peer.got('an error', () => peer.of('ERROR').length);
    peer.say('CONNECT\naccept-version:1.2\nhost:/');
    await peer.got('an answer', () => peer.of('CONNECTED').length);
    return peer.line();
  },
  'an end of line behind each frame, and CR LF in it': async (at) => {
    const peer = await connected(at, '\nCONNECT\r\naccept-version:1.2\r\nhost:/\r');
    peer.write('\n\r\nSEND\r\ndestination:/topic/crlf\r\nreceipt:r\r\n\r\nx\0\n\n');
    await peer.receipts('r');
    return peer.line();
  },
};

const FRAMES = {
  'a receipt for every frame': async (at) => {
    const peer = await connected(at);
    peer.say('SUBSCRIBE\nid:0\ndestination:/topic/receipts\nack:client-individual\nreceipt:1');
    await peer.receipts('1');
    peer.say('SEND\ndestination:/topic/receipts\nreceipt:2', 'a');
    peer.say('SEND\ndestination:/topic/receipts', 'b');
    await peer.messages(2);
    const [first, second] = peer.of('MESSAGE').map((frame) => frame.headers.ack);
    const heads = [`ACK\nid:${first}`, `NACK\nid:${second}\nrequeue:false`, 'BEGIN\ntransaction:t', 'COMMIT\ntransaction:t', 'BEGIN\ntransaction:u', 'ABORT\ntransaction:u', 'UNSUBSCRIBE\nid:0', 'DISCONNECT'];
    heads.forEach((head, n) => peer.say(`${head}\nreceipt:${n + 3}`));
    await peer.got('the end', () => false);
    return peer.line();
  },
  'the `receipt` of who sent is in a MESSAGE': async (at) => {
    const peer = await connected(at);
    peer.say('SUBSCRIBE\nid:0\ndestination:/topic/leak\nreceipt:on');
    await peer.receipts('on');
    peer.say('SEND\ndestination:/topic/leak\nreceipt:r', 'x');
    await peer.messages(1);
    await peer.receipts('r');
    return peer.line('receipt');
  },
  'headers of who sent, the first of two': async (at) => {
    const peer = await reads(at, 'headers', '');
    peer.say('SEND\ndestination:/topic/headers\nk:a\\nb\\cc\\\\d\nk:second\ncolour:red', 'x');
    await peer.messages(1);
    return peer.line('k', 'colour', 'destination', 'subscription', 'content-length');
  },
  'an escape that 1.2 does not have': async (at) => (await says(at, ['SEND\ndestination:/topic/a\nk:a\\tb', 'x'])).line(),
  'a header line without a colon': async (at) => (await says(at, ['SEND\ndestination:/topic/a\nnocolon', 'x'])).line(),
  'a body with NULs, by its `content-length`': async (at) => {
    const peer = await reads(at, 'nuls', '');
    peer.say('SEND\ndestination:/topic/nuls\ncontent-length:5', 'a\0b\0c');
    await peer.messages(1);
    return peer.line('content-length');
  },
  '`content-length` that is no number': async (at) => (await says(at, ['SEND\ndestination:/topic/a\ncontent-length:x', 'x'])).line(),
  'a body without `content-type`': async (at) => (await reads(at, 'typeless', '', 'x')).line('content-type'),
  'a body that is no JSON, though it says so': async (at) => (await says(at, ['SEND\ndestination:/topic/a\ncontent-type:application/json', '{'])).line(),
  'a body in a frame that has none': async (at) => (await says(at, ['BEGIN\ntransaction:t', 'body'])).line(),
  'no such command': async (at) => (await says(at, ['PUBLISH\ndestination:/topic/a', 'x'])).line(),
  'SEND without `destination`': async (at) => (await says(at, ['SEND\nk:v', 'x'])).line(),
  'an ERROR says which receipt will not come': async (at) => {
    const peer = await connected(at);
    peer.say('SEND\nreceipt:r', 'x');
    await peer.got('an error', () => peer.of('ERROR').length);
    return `receipt-id ${peer.of('ERROR')[0].headers['receipt-id']}`;
  },
};

const SUBSCRIPTIONS = {
  'SUBSCRIBE without `id`, 1.0': async (at) => {
    const peer = await connected(at, 'CONNECT\nhost:/');
    peer.say('SUBSCRIBE\ndestination:/topic/noid10\nreceipt:on');
    await peer.receipts('on');
    peer.say('SEND\ndestination:/topic/noid10', 'x');
    await peer.messages(1);
    peer.say('UNSUBSCRIBE\ndestination:/topic/noid10\nreceipt:off');
    await peer.receipts('off');
    return peer.line();
  },
  'SUBSCRIBE without `id`, 1.2': async (at) => (await says(at, ['SUBSCRIBE\ndestination:/topic/noid'])).line(),
  'a second subscription of the same `id`': async (at) => (await says(at, ['SUBSCRIBE\nid:0\ndestination:/topic/a'], ['SUBSCRIBE\nid:0\ndestination:/topic/b'])).line(),
  'UNSUBSCRIBE of what was not subscribed to': async (at) => (await says(at, ['UNSUBSCRIBE\nid:7'])).line(),
  '`ack` that is none of the three': async (at) => (await says(at, ['SUBSCRIBE\nid:0\ndestination:/topic/a\nack:maybe'])).line(),
  'two subscriptions to one topic each bring it': async (at) => {
    const peer = await reads(at, 'twice', '');
    peer.say('SUBSCRIBE\nid:1\ndestination:/topic/twice\nreceipt:two');
    await peer.receipts('two');
    peer.say('SEND\ndestination:/topic/twice', 'x');
    await peer.messages(2);
    return peer.of('MESSAGE').map((frame) => frame.headers.subscription).sort().join(' ');
  },
  '`/queue/NAME`': async (at) => (await says(at, ['SEND\ndestination:/queue/a', 'x'])).line(),
  'a destination without a slash': async (at) => (await says(at, ['SEND\ndestination:elsewhere', 'x'])).line(),
  'a destination of no known kind': async (at) => (await says(at, ['SEND\ndestination:/elsewhere/x', 'x'])).line(),
  '`/topic/a/b`': async (at) => (await says(at, ['SUBSCRIBE\nid:0\ndestination:/topic/a/b'])).line(),
  'a pattern over slashes, `/topic/w/*`': async (at) => pattern(at, 'w/*', 'w/x', 'w/y'),
  'a pattern over dots, `/topic/v.*`': async (at) => pattern(at, 'v.*', 'v.x', 'v.*'),
  'a name in percents, `/topic/%70`': async (at) => pattern(at, '%70', 'p', '%70'),
  '`%2F` in a name': async (at) => (await reads(at, 'in%2Fside', '', 'x')).line('destination'),
  '`reply-to:/temp-queue/NAME`': async (at) => {
    const peer = await reads(at, 'temp', '');
    peer.say('SEND\ndestination:/topic/temp\nreply-to:/temp-queue/mine', 'ask');
    await peer.messages(1);
    const reply = peer.of('MESSAGE')[0]?.headers['reply-to'];
    if (reply && reply !== '/temp-queue/mine') {
      peer.say(`SEND\ndestination:${reply}`, 'answer');
      await peer.messages(2);
    }
    return peer.line();
  },
};

/** What a reader of one name is given that is sent to another, and then to one that it is sure to read. */
async function pattern(at, subscribed, sent, sure) {
  const peer = await connected(at);
  peer.say(`SUBSCRIBE\nid:0\ndestination:/topic/${subscribed}\nreceipt:on`);
  await peer.got('an answer', () => peer.of('RECEIPT').length || peer.of('ERROR').length);
  if (peer.of('ERROR').length) return peer.line();
  peer.say(`SEND\ndestination:/topic/${sent}`, 'there');
  peer.say(`SEND\ndestination:/topic/${sure}`, 'sure');
  await peer.got('the one that is sure', () => peer.of('MESSAGE').some((frame) => frame.body === 'sure'));
  return peer.line();
}

/** Has two messages that are to be acknowledged, says something of them, and is given one more. */
async function acknowledges(at, topic, ack, say) {
  const peer = await reads(at, topic, `\nack:${ack}`, '1', '2');
  say(peer, peer.of('MESSAGE'));
  peer.say(`SEND\ndestination:/topic/${topic}\nreceipt:end`, 'end');
  await peer.got('the end', () => peer.of('MESSAGE').some((frame) => frame.body === 'end') && peer.of('RECEIPT').length > 1);
  return peer.line();
}

const ACKNOWLEDGEMENTS = {
  '`ack:client` up to one': async (at) => acknowledges(at, 'acks', 'client', (peer, [, second]) => peer.say(`ACK\nid:${second.headers.ack}`)),
  '`ack:client-individual` one by one, in any order': async (at) => acknowledges(at, 'ackone', 'client-individual', (peer, [first, second]) => { peer.say(`ACK\nid:${second.headers.ack}`); peer.say(`ACK\nid:${first.headers.ack}`); }),
  'ACK of the same message twice': async (at) => acknowledges(at, 'acktwice', 'client-individual', (peer, [first]) => { peer.say(`ACK\nid:${first.headers.ack}`); peer.say(`ACK\nid:${first.headers.ack}`); }),
  'ACK of a message that never was': async (at) => (await says(at, ['ACK\nid:never'])).line(),
  '`ack` in a MESSAGE of `ack:auto`': async (at) => String('ack' in (await reads(at, 'auto', '', 'x')).of('MESSAGE')[0].headers),
  'NACK': async (at) => {
    const peer = await reads(at, 'nack', '\nack:client-individual', 'x');
    peer.say(`NACK\nid:${peer.of('MESSAGE')[0].headers.ack}\nreceipt:n`);
    await peer.receipts('n');
    peer.say('SEND\ndestination:/topic/nack', 'end');
    await peer.got('the end', () => peer.of('MESSAGE').some((frame) => frame.body === 'end'));
    return peer.of('MESSAGE').map(({ body }) => body).sort().reverse().join(' ');
  },
};

const TRANSACTIONS = {
  'COMMIT publishes in order, ABORT nothing': async (at) => {
    const peer = await reads(at, 'tx', '');
    for (const name of ['t', 'u']) {
      peer.say(`BEGIN\ntransaction:${name}`);
      for (const n of [1, 2]) peer.say(`SEND\ndestination:/topic/tx\ntransaction:${name}`, name + n);
    }
    peer.say('SEND\ndestination:/topic/tx', 'between');
    peer.say('ABORT\ntransaction:u');
    peer.say('COMMIT\ntransaction:t');
    await peer.messages(3);
    return peer.line('transaction');
  },
  'BEGIN of a name that is begun': async (at) => (await says(at, ['BEGIN\ntransaction:t'], ['BEGIN\ntransaction:t'])).line(),
  'COMMIT of what was not begun': async (at) => (await says(at, ['COMMIT\ntransaction:t'])).line(),
  'SEND in a transaction that was not begun': async (at) => (await says(at, ['SEND\ndestination:/topic/a\ntransaction:t', 'x'])).line(),
};

const WEBSOCKETS = {
  'over WebSocket, which the subprotocol names': async (at) => {
    const lines = [];
    for (const offer of [['v12.stomp'], ['v10.stomp', 'v11.stomp', 'v12.stomp'], []]) {
      const peer = await new Peer(at).websocket(offer);
      peer.say('CONNECT\naccept-version:1.0,1.1,1.2\nhost:/');
      await peer.got('CONNECTED', () => peer.of('CONNECTED').length);
      lines.push(`${peer.protocol || 'none'}: ${peer.binary ? 'binary' : 'text'}, ${peer.line()}`);
      peer.end();
    }
    return lines.join('; ');
  },
};

/** By sentence: given a server, resolves to the line. */
const CASES = { ...CONNECTS, ...FRAMES, ...SUBSCRIPTIONS, ...ACKNOWLEDGEMENTS, ...TRANSACTIONS, ...WEBSOCKETS };

module.exports = { CASES };
