// Revolved.js in node against the server's history, presence, patterns, delivery reports and publications that count once,
// over every transport that node can be given.
'use strict';

// In a browser an error of a WebSocket is only an event.
globalThis.WebSocket ||= class extends require('ws') {
  constructor(url) { super(url).on('error', () => {}); }
};
globalThis.EventSource ||= require('eventsource').EventSource;

const { test, until, assert } = require('./lib/harness.js');
const { serve, proxy, top } = require('./lib/server.js');
const { fake } = require('./lib/fake.js');
const { token, TOKENS } = require('./lib/token.js');
const Revolved = require(top + '/static/Revolved.js');

const TRANSPORTS = ['websocket', 'sse', 'stream', 'longpoll'];

/** A session that nobody asks for is forgotten within 2 s. */
async function start(after, ...flags) {
  const server = await serve('--session-timeout', '1s', ...flags);
  after(server.stop);
  return server;
}

const RULE = ['--channel', '** history=50 presence'];

/** Someone connected; everything that was said is kept in `log`. */
async function join(after, url, user, transport) {
  const r = new Revolved({ url, duration: 1, transports: [transport] }), log = [];
  const keep = (name) => { r['on' + name] = (...args) => log.push([name, ...args]); };
  ['join', 'leave', 'members', 'receive', 'gap', 'resumed', 'open', 'close'].forEach(keep);
  after(() => r.disconnect());
  await r.connect(user);
  return { r, log, payloads: [], said: (name) => log.filter(([event]) => event === name).map(([, ...args]) => args) };
}

/** Subscribes and keeps what comes. */
async function read(one, channel, options) {
  return one.r.subscribe(channel, (payload, sender, info, name) => one.payloads.push([payload, sender, info, name]), options);
}

const post = (server, channel, ...bodies) => bodies.reduce((before, body) => before.then(() =>
  fetch(`http://${server.internal}/api/publish/${channel}`, { method: 'POST', body: String(body) })), Promise.resolve());

/** Someone behind a proxy, in a channel; `lose` cuts the line until the server has forgotten the session, and `meanwhile`. */
async function loser(after, server, user, transport, options = {}) {
  const between = await proxy(server.port);
  after(between.close);
  const one = await join(after, between.url, user, transport);
  await read(one, 'room', options);
  const lose = async (meanwhile) => {
    const gone = () => server.metric('orbited_signoffs_total{reason="timeout"}'), before = await gone();
    between.target = 0;
    between.cut();
    await meanwhile();
    await until('the server to forget', async () => (await gone()) > before);
    between.target = server.port;
    await until('a new session', () => one.said('resumed').length);
  };
  return { ...one, lose, between };
}

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
const payloads = (one) => one.payloads.map(([payload]) => Number(payload));

for (const transport of TRANSPORTS) {
  test(`Revolved.js in node over ${transport}: the application subscribes a user, tells it and ends that`, async (after) => {
    const server = await start(after, ...RULE), ann = await join(after, server.url, 'ann', transport);
    const app = async (call, body) => (await fetch(`http://${server.internal}/api/${call}`, { method: 'POST', body })).json();
    for (const name of ['subscribed', 'unsubscribed']) ann.r['on' + name] = (channel) => ann.log.push([name, channel]);
    ann.r.onpublish = (channel, sender, payload) => ann.log.push(['publish', channel, payload]);
    assert.deepEqual(await app('subscribe?user=ann&channel=room'), { sessions: 1, refused: 0 });
    await post(server, 'room', 'one');
    assert.deepEqual(await app('send/ann', 'psst'), { sessions: 1 });
    assert.deepEqual(await app('broadcast', 'all'), { sessions: 1 });
    assert.deepEqual(await app('unsubscribe?user=ann&channel=room'), { sessions: 1, refused: 0 });
    await post(server, 'room', 'two');
    await app('send/ann', 'end');
    await until('the last of it', () => ann.said('receive').length === 3);
    const told = ann.log.filter(([name]) => name !== 'open');
    assert.deepEqual(told, [['subscribed', 'room'], ['publish', 'room', 'one'], ['receive', null, 'psst'], ['receive', null, 'all'],
      ['unsubscribed', 'room'], ['receive', null, 'end']]);
    // What the page had subscribed to itself is gone too, and is not taken up again.
    await read(ann, 'mine');
    await app('unsubscribe?user=ann&channel=mine');
    await until('its end', () => ann.said('unsubscribed').length === 2);
    assert.equal(ann.r.position('mine'), null);
  });

  test(`Revolved.js in node over ${transport}: a latecomer reads the history, then what is live, each once`, async (after) => {
    const server = await start(after, ...RULE), ann = await join(after, server.url, 'ann', transport);
    for (const n of numbers(1, 60)) ann.r.publish('room', n);
    await ann.r.publish('room', 61);
    const bob = await join(after, server.url, 'bob', transport), { messages, recovered, epoch, offset } = await read(bob, 'room', { history: 20 });
    assert.deepEqual([messages.length, recovered, offset, bob.r.position('room')], [20, false, 61, { epoch, offset }]);
    await ann.r.publish('room', 62);
    await until('the live one', () => bob.payloads.length === 21);
    assert.deepEqual(payloads(bob), numbers(42, 62));
    assert.deepEqual(bob.payloads.map(([, sender, { history }]) => [sender, !!history]), numbers(42, 62).map((n) => ['ann', n < 62]));
    const all = await bob.r.history('room', { limit: Infinity }), last = await bob.r.history('room', { limit: 3, reverse: true });
    assert.deepEqual([all.messages.map(({ payload }) => payload), all.more], [numbers(13, 62), false]);
    assert.deepEqual([last.messages.map(({ payload }) => payload), last.more], [[62, 61, 60], true]);
  });

  test(`Revolved.js in node over ${transport}: a session that is lost is taken up where it was, with all that was missed`, async (after) => {
    const server = await start(after, ...RULE), ann = await loser(after, server, 'ann', transport);
    await post(server, 'room', 1, 2);
    await until('both', () => ann.payloads.length === 2);
    await ann.lose(() => post(server, 'room', ...numbers(3, 40)));
    await post(server, 'room', 41);
    await until('the live one', () => ann.payloads.length >= 41);
    assert.deepEqual(payloads(ann), numbers(1, 41));
    assert.deepEqual([ann.said('resumed')[0][1].recovered, ann.said('gap')], [true, []]);
    assert.deepEqual(ann.said('open').map(([user, again]) => [user, again]), [['ann', false], ['ann', true]]);
  });

  test(`Revolved.js in node over ${transport}: more was missed than is kept, and it is told how many`, async (after) => {
    const server = await start(after, ...RULE), ann = await loser(after, server, 'ann', transport, { history: 30 });
    await post(server, 'room', 1, 2);
    await until('both', () => ann.payloads.length === 2);
    await ann.lose(() => post(server, 'room', ...numbers(3, 102)));
    await until('what is kept', () => ann.payloads.length >= 32);
    assert.deepEqual(payloads(ann), [1, 2, ...numbers(73, 102)]);
    const [[channel, { missed, fetch }], ...more] = ann.said('gap');
    assert.deepEqual([channel, missed, more, ann.said('resumed')[0][1].recovered], ['room', 70, [], false]);
    assert.deepEqual((await fetch()).map(({ payload }) => Number(payload)), numbers(53, 72));
  });

  test(`Revolved.js in node over ${transport}: members are kept up to date, also over a lost session`, async (after) => {
    const server = await start(after, ...RULE, '--presence-grace', '100ms'), ann = await loser(after, server, 'ann', transport, { presence: true });
    const here = (...names) => until(`${names} are here`, () => String(ann.r.members('room').sort()) === String(names));
    await here('ann');
    const [bob, cyd] = await Promise.all(['bob', 'cyd'].map((user) => join(after, server.url, user, transport)));
    await Promise.all([bob, cyd].map((one) => read(one, 'room', { presence: true })));
    await here('ann', 'bob', 'cyd');
    await until("bob's list", () => String(bob.r.members('room').sort()) === 'ann,bob,cyd');
    await cyd.r.disconnect();
    await here('ann', 'bob');
    await ann.lose(() => bob.r.disconnect());
    await here('ann');
    assert.deepEqual(ann.said('leave'), [['room', 'cyd']]);
    assert.deepEqual(await ann.r.presence('room'), { members: [{ user: 'ann', sessions: 1 }], more: false, users: 1, sessions: 1 });
    assert.deepEqual(ann.said('members').at(-1)[1], ['ann']);
    assert.equal(ann.r.members('other'), null);
  });

  test(`Revolved.js in node over ${transport}: a pattern brings what it matches, once, and says when it cannot have brought all`, async (after) => {
    const server = await start(after, ...RULE), ann = await loser(after, server, 'ann', transport);
    await ann.r.unsubscribe('room');
    for (const name of ['a/*', 'a/**', 'a/b']) await read(ann, name);
    await ann.r.publish('a/b', 1);
    await ann.r.publish('a/b/c', 2);
    await ann.r.publish('b', 3);
    await until('each callback', () => ann.payloads.length === 4);
    assert.deepEqual(ann.payloads.map(([payload, , , name]) => [payload, name]), [[1, 'a/b'], [1, 'a/b'], [1, 'a/b'], [2, 'a/b/c']]);
    assert.equal(ann.r.position('a/*'), null);
    await ann.lose(() => post(server, 'a/b', 4));
    await until('three channels', () => ann.said('resumed').length === 3);
    assert.deepEqual(ann.said('gap').map(([name, { missed }]) => [name, missed]), [['a/*', null], ['a/**', null]]);
  });

  test(`Revolved.js in node over ${transport}: a sender learns what became of its message at each session`, async (after) => {
    const server = await start(after), ann = await join(after, server.url, 'ann', transport), bob = await join(after, server.url, 'bob', transport);
    const other = await loser(after, server, 'bob', transport);
    assert.deepEqual(await ann.r.send('bob', 0), { sessions: 2 });
    const { sessions, delivered } = await ann.r.send('bob', 1, { report: true });
    assert.deepEqual([sessions, await delivered], [2, [{ state: 'acked', reason: null }, { state: 'acked', reason: null }]]);
    let second;
    await other.lose(async () => { second = await ann.r.send('bob', 2, { report: true }); });
    assert.deepEqual((await second.delivered).map(({ state, reason }) => [state, reason]).sort(), [['acked', null], ['failed', 'timeout']]);
    assert.deepEqual(bob.said('receive').map(([, payload]) => payload), [0, 1, 2]);
    await assert.rejects(ann.r.send('nobody', 1, { report: true }), { code: 'not-connected' });
  });

  test(`Revolved.js in node over ${transport}: a publish whose answer was lost with its session is asked again and counts once`, async (after) => {
    const server = await start(after, ...RULE), ann = await loser(after, server, 'ann', transport), bob = await join(after, server.url, 'bob', transport);
    await read(bob, 'room');
    // Its line goes out, and is lost on the way back or on the way there: nobody here can tell.
    const asked = [ann.r.publish('room', 1, { id: true }), ann.r.publish('room', 2, { id: 'mine' })], other = ann.r.publish('room', 3);
    other.catch(() => {});
    await ann.lose(() => Promise.resolve());
    await Promise.all(asked);
    assert.deepEqual((await ann.r.publish('room', 2, { id: 'mine' })), await asked[1]);
    await bob.r.publish('room', 4);
    await until('the last', () => payloads(bob).includes(4));
    assert.deepEqual(payloads(bob).filter((n) => n < 3).sort(), [1, 2]);
  });
}

test('Revolved.js in node: a token says who it is and what it may, for as long as it lasts', async (after) => {
  const server = await start(after, ...TOKENS, '--token-leeway', '0s'), now = Date.now() / 1000, closed = [], got = [];
  const shown = (seconds) => token({ sub: 'ann', exp: now + seconds, channels: { chat: ['subscribe', 'publish'] } });
  const r = new Revolved({ url: server.url });
  after(() => r.disconnect());
  r.onclose = (...said) => closed.push(said);
  await assert.rejects(new Revolved({ url: server.url }).connect('ann'), { code: 'name-needs-token' });
  assert.equal(await r.connect(null, shown(3)), 'ann');
  await r.subscribe('chat', (payload) => got.push(payload));
  await assert.rejects(r.publish('other', 1), { code: 'forbidden' });
  assert.equal(await r.auth(null, shown(5)), 'ann');
  await r.publish('chat', 'hi');
  await until('the end of its token', () => closed.length === 1);
  assert.deepEqual([got, closed[0].slice(0, 2)], [['hi'], ['token', false]]);
});

test('Revolved.js in node: who subscribes since the place that another session had gets what it missed', async (after) => {
  const server = await start(after, ...RULE), ann = await join(after, server.url, 'ann', 'websocket');
  await read(ann, 'room');
  await ann.r.publish('room', 1);
  const since = ann.r.position('room');
  await post(server, 'room', 2, 3);
  const bob = await join(after, server.url, 'bob', 'sse'), { recovered } = await read(bob, 'room', { since });
  assert.deepEqual([payloads(bob), recovered, bob.said('gap')], [[2, 3], true, []]);
  const cyd = await join(after, server.url, 'cyd', 'sse');
  await read(cyd, 'room', { since: { epoch: 'beef', offset: 2 }, history: 1 });
  assert.deepEqual([payloads(cyd), cyd.said('gap').map(([name, { missed }]) => [name, missed])], [[3], [['room', null]]]);
});

test('Revolved.js in node: of what a channel keeps and of who is there any number of pages is brought', async (after) => {
  const server = await start(after, '--channel', '** history=3000 presence'), ann = await join(after, server.url, 'ann', 'websocket');
  await Promise.all(numbers(1, 2500).map((n) => ann.r.publish('room', n)));
  const taken = async (options) => (await ann.r.history('room', options)).messages.map(({ payload }) => payload);
  assert.deepEqual(await taken({ limit: Infinity }), numbers(1, 2500));
  assert.deepEqual(await taken({ before: 2400, limit: 2200 }), numbers(200, 2399).reverse());
  assert.equal((await taken()).length, 1000);
  const { epoch } = await ann.r.history('room', { limit: 1 });
  assert.deepEqual(await taken({ since: { epoch, offset: 100 }, limit: 1500 }), numbers(101, 1600));
  await assert.rejects(ann.r.history('room', { since: { epoch: 'beef', offset: 1 } }), { code: 'epoch' });
});

test('Revolved.js in node: a channel without a rule keeps nothing and tells nobody, and is read all the same', async (after) => {
  const server = await start(after), ann = await join(after, server.url, 'ann', 'websocket');
  await post(server, 'room', 1);
  assert.deepEqual((await read(ann, 'room', { history: 9, presence: true })).messages, []);
  await ann.r.publish('room', 2);
  assert.deepEqual([payloads(ann), ann.r.members('room')], [[2], null]);
  await assert.rejects(ann.r.presence('room'), { code: 'not-offered' });
});

test('Revolved.js in node: subscribed twice in one session, it is given what is live to both and forgets nothing it asked for', async (after) => {
  const server = await start(after, ...RULE), ann = await loser(after, server, 'ann', 'websocket', { presence: true });
  await Promise.all([post(server, 'room', 1, 2), read(ann, 'room', { history: 5 })]);
  await until('both, at least once', () => payloads(ann).includes(2));
  assert.deepEqual([ann.said('gap'), ann.r.members('room')], [[], ['ann']]);
  const got = ann.payloads.length;
  await post(server, 'room', 3);
  await until('to both', () => ann.payloads.length === got + 2);
});

// What the server says that it cannot be brought to say on request.

/** Revolved.js at a server that says these lines once it is asked to subscribe. */
async function told(after, lines) {
  const say = (socket) => socket.on('message', () => lines.splice(0).forEach((line, n) => socket.send(JSON.stringify([[n + 1, 0, JSON.stringify(line) + '\n']]))));
  const server = await fake(after, { socket: say }), r = new Revolved({ url: server.url, transports: ['websocket'] }), log = [];
  after(() => r.disconnect());
  r.ongap = (channel, { missed }) => log.push(['gap', channel, missed]);
  await r.connect();
  r.subscribe('room', (payload) => log.push(payload));
  return { r, log };
}

test('Revolved.js in node: what was skipped for a slow reader is told where it is missing', async (after) => {
  const position = { epoch: 'a', offset: 4, recovered: false, messages: [] };
  const { r, log } = await told(after, [['OK', [1, position]], ['PUBLISH', ['room', null, 'five', { offset: 5 }]], ['GAP', ['room', { missed: 3 }]], ['PUBLISH', ['room', null, 'nine', { offset: 9 }]], ['GAP', ['elsewhere', { missed: 1 }]]]);
  await until('all', () => log.length === 4);
  assert.deepEqual(log, ['five', ['gap', 'room', 3], 'nine', ['gap', 'elsewhere', 1]]);
  assert.deepEqual(r.position('room'), { epoch: 'a', offset: 9 });
});
