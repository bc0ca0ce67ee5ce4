// The same script of STOMP against Debian's rabbitmq-server and against us. What differs stands here with its reason; the README's
// table of it is made by `node tests/interop/rabbitmq.js --write`.
'use strict';

const fs = require('node:fs');
const { test, assert } = require('./lib/harness.js');
const { rabbitmq } = require('./lib/rabbitmq.js');
const { serve, top } = require('./lib/server.js');
const { CASES } = require('./lib/stomp_script.js');

const README = top + '/README.md', MARKED = /(<!-- rabbitmq -->\n)[^]*?(<!-- \/rabbitmq -->)/;

// The line of ours that is refused, and those of RabbitMQ that goes on.
const REFUSED = '1.2, ERROR, closed', GOES_ON = '1.2, receipt end, ERROR, open', TAKES_IT = '1.2, receipt end, open', GONE = '1.2, closed';

/** A row: what `orbited` and `rabbitmq` do, `why`, and of each case the lines that show it, ours first. */
const DIFFERENCES = [
  {
    orbited: 'an `ERROR` is the last frame, and names the receipt that will not come', rabbitmq: 'goes on behind an `ERROR`, and names none',
    why: 'the specification: the server must close, and should say `receipt-id`; who pipelines frames would not know which were done',
    cases: {
      'SEND before CONNECT': ['ERROR, closed', '1.2, ERROR, open'],
      'SEND without `destination`': [REFUSED, GOES_ON],
      'a destination of no known kind': [REFUSED, GOES_ON],
      'no such command': [REFUSED, GOES_ON],
      'UNSUBSCRIBE of what was not subscribed to': [REFUSED, GOES_ON],
      '`ack` that is none of the three': [REFUSED, GOES_ON],
      'ACK of a message that never was': [REFUSED, GOES_ON],
      'COMMIT of what was not begun': [REFUSED, GOES_ON],
      'SEND in a transaction that was not begun': [REFUSED, GOES_ON],
      'an ERROR says which receipt will not come': ['receipt-id r', 'receipt-id undefined'],
    },
  },
  {
    orbited: 'an `ERROR` that says what is wrong', rabbitmq: 'closes without a word', why: 'who wrote the client is to find the fault',
    cases: {
      'a second CONNECT': [REFUSED, GONE],
      'an escape that 1.2 does not have': [REFUSED, GONE],
      'a header line without a colon': [REFUSED, GONE],
      '`content-length` that is no number': [REFUSED, GONE],
    },
  },
  {
    orbited: 'an `ERROR`', rabbitmq: 'takes it', why: 'the specification asks for an `id` since 1.1, and gives a body to none of these frames; of a name that is begun twice nobody could say which a COMMIT means',
    cases: {
      'SUBSCRIBE without `id`, 1.2': [REFUSED, TAKES_IT],
      'a body in a frame that has none': [REFUSED, TAKES_IT],
      'BEGIN of a name that is begun': [REFUSED, TAKES_IT],
    },
  },
  {
    orbited: 'an `ERROR`', rabbitmq: 'takes it', why: 'subscribers of other protocols are given it as JSON',
    cases: { 'a body that is no JSON, though it says so': [REFUSED, TAKES_IT] },
  },
  {
    orbited: 'is not looked at', rabbitmq: 'is a virtual host, which must be there', why: 'there are none here',
    cases: { '`host` of another name': ['1.2, open', 'ERROR, closed'] },
  },
  {
    orbited: 'a name, which is believed in demo mode; else a token proves it', rabbitmq: 'an account of its own', why: 'users are the application\'s',
    cases: { '`login` that nobody knows': ['1.2, open', 'ERROR, closed'] },
  },
  {
    orbited: 'an `ERROR`: there are `/topic`, `/user` and `/session`', rabbitmq: 'a queue, made when it is first used', why: 'messages wait for a user (`orbit-ttl`) or in the history of a channel, not in queues',
    cases: {
      '`/queue/NAME`': [REFUSED, TAKES_IT],
      'a destination without a slash': [REFUSED, TAKES_IT],
    },
  },
  {
    orbited: '`reply-to` is given as it was said', rabbitmq: 'makes a queue for the answers', why: 'answers go to `/user/NAME`: each MESSAGE says who sent it in `orbit-sender`',
    cases: { '`reply-to:/temp-queue/NAME`': ['1.2, receipt on, “ask”, open', '1.2, receipt on, “ask”, “answer”, open'] },
  },
  {
    orbited: 'segments are between slashes, `*` is one and `**` one or more', rabbitmq: 'words are between dots, `*` is one and `#` none or more; a slash is said as `%2F`', why: 'they are the channels of all protocols here; only patterns are to be rewritten',
    cases: {
      '`/topic/a/b`': [TAKES_IT, GOES_ON],
      '`%2F` in a name': ['1.2, receipt on, “x” destination=/topic/in/side, open', '1.2, receipt on, “x” destination=/topic/in%2Fside, open'],
      'a pattern over slashes, `/topic/w/*`': ['1.2, receipt on, “there”, “sure”, open', '1.2, ERROR, open'],
      'a pattern over dots, `/topic/v.*`': ['1.2, receipt on, “sure”, open', '1.2, receipt on, “there”, “sure”, open'],
    },
  },
  {
    orbited: 'names are percent-decoded', rabbitmq: 'stay as they were said', why: 'so that any channel can be named',
    cases: { 'a name in percents, `/topic/%70`': ['1.2, receipt on, “there”, “sure”, open', '1.2, receipt on, “sure”, open'] },
  },
  {
    orbited: '`receipt` and `transaction` of who sent are left out', rabbitmq: 'are in the MESSAGE', why: 'they are between that client and the server',
    cases: {
      'the `receipt` of who sent is in a MESSAGE': ['1.2, receipt on, receipt r, “x”, open', '1.2, receipt on, receipt r, “x” receipt=r, open'],
      'COMMIT publishes in order, ABORT nothing': ['1.2, receipt on, “between”, “t1”, “t2”, open', '1.2, receipt on, “between”, “t1” transaction=t, “t2” transaction=t, open'],
    },
  },
  {
    orbited: 'a body without a type that is UTF-8 is `text/plain; charset=utf-8`', rabbitmq: 'has no `content-type`', why: 'subscribers of other protocols are given it as text, and all are told the same',
    cases: { 'a body without `content-type`': ['1.2, receipt on, “x” content-type=text/plain; charset=utf-8, open', '1.2, receipt on, “x”, open'] },
  },
  {
    orbited: 'the last word on a message', rabbitmq: 'puts it back, and gives it again', why: 'a message of a channel is each reader\'s own: there is no one else to give it to; who sent it is told `failed`',
    cases: { NACK: ['x end', 'x x end'] },
  },
  {
    orbited: 'is passed over', rabbitmq: 'an `ERROR`', why: 'an acknowledgement may cross with one that was up to a later message',
    cases: { 'ACK of the same message twice': ['1.2, receipt on, receipt end, “1”, “2”, “end”, open', '1.2, receipt on, “1”, “2”, ERROR, closed'] },
  },
  {
    orbited: 'the first subprotocol the client offers', rabbitmq: 'the highest', why: 'CONNECT decides the version in both',
    cases: {
      'over WebSocket, which the subprotocol names': [
        'v12.stomp: text, 1.2, open; v10.stomp: text, 1.2, open; none: text, 1.2, open',
        'v12.stomp: text, 1.2, open; v12.stomp: text, 1.2, open; none: text, 1.2, open',
      ],
    },
  },
];

const EXPECTED = Object.assign({}, ...DIFFERENCES.map((row) => row.cases));

function table() {
  const rows = DIFFERENCES.map(({ orbited, rabbitmq, why, cases }) => [Object.keys(cases).join('; '), orbited, rabbitmq, why]);
  return [['what', 'orbited', 'RabbitMQ', 'why'], ['---', '---', '---', '---'], ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

/** Runs the whole script against a server: the lines by case. */
async function lines(server) {
  const all = Object.entries(CASES).map(async ([name, run]) => [name, await run(server).catch((error) => error.message)]);
  return Object.fromEntries(await Promise.all(all));
}

if (process.argv.includes('--write')) {
  fs.writeFileSync(README, fs.readFileSync(README, 'utf8').replace(MARKED, (_, open, close) => open + table() + close));
} else {
  test('the README lists what differs from RabbitMQ, and why', () => {
    const [marked, open, close] = MARKED.exec(fs.readFileSync(README, 'utf8'));
    assert.equal(marked, open + table() + close, 'make it anew: node tests/interop/rabbitmq.js --write');
  });

  test('the same script of STOMP does the same as at RabbitMQ, but for what is listed', async (after) => {
    const server = await serve();
    after(server.stop);
    const theirs = await rabbitmq();
    after(theirs.stop);
    const [ours, others] = await Promise.all([lines({ stomp: server.stomp, web: `ws://${server.address}/_/stomp` }), lines(theirs)]);
    console.log(`       RabbitMQ ${theirs.version}: ${Object.keys(CASES).length} cases, ${Object.keys(EXPECTED).length} of them listed`);
    const pairs = Object.keys(CASES).map((name) => [name, [ours[name], others[name]]]);
    const listed = pairs.map(([name, [line]]) => [name, EXPECTED[name] || [line, line]]);
    assert.deepEqual(Object.fromEntries(pairs), Object.fromEntries(listed));
    assert.deepEqual(Object.keys(EXPECTED).filter((name) => !(name in CASES) || ours[name] === others[name]), []);
  });
}
