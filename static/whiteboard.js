/*
 * The whiteboard: strokes, cursors and a chat on three channels.
 *
 *   demo/board          {by, hue, points: [x, y, x, y, …], n}   a piece of a stroke, called n; 0 to 1 across and down the board
 *   demo/board/cursors  {by, hue, x, y}                         apart from the strokes, since only those are worth keeping
 *   demo/chat           {text, name}                            or plain text, when published from outside; the name is for Bayeux, which tells no sender
 *
 * The server's rule for `demo/*` is what brings a latecomer the strokes and the names; without it the page shows what comes.
 * `?transports=longpoll,jsonp`, `?duration=1` and `?name=Ann` help to try things out; `window.demo` shows the state to tests.
 */
'use strict';

const STROKE_MS = 40, CURSOR_MS = 60, CURSOR_IDLE_MS = 10000, DRAWS_MS = 1500, PIECES_MAX = 5000, LINES_MAX = 500, HUES_APART = 60, HUES_MAX = 12, NAMES_MAX = 30;
const BOARD = 'demo/board', CURSORS = 'demo/board/cursors', CHAT = 'demo/chat';

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const transports = query.has('transports') ? query.get('transports').split(',') : CSP.transports;
const count = (number) => number.toLocaleString('en');
const random = () => Math.random().toString(36).slice(2, 10);
// The same after a reload, so that nobody sees another come.
const { name, ...me } = JSON.parse(sessionStorage.getItem('me')) || { by: random(), hue: Math.floor(Math.random() * 360) };
const pieces = [], chat = [], mine = new Set();       // mine: pieces painted here that the server has not told of yet
let gaps = 0;

// Your name: from the address, from last time, or a new one.

const pick = (words) => words.split(' ')[Math.floor(Math.random() * words.split(' ').length)];
const guest = () => pick('Amber Brave Calm Clever Gentle Happy Kind Merry Quiet Sunny') + ' ' + pick('Badger Comet Finch Fox Heron Otter Panda Robin Seal Wren');

$('name').value = query.get('name') || name || localStorage.getItem('name') || guest();
$('name').onchange = () => {
  const name = $('name').value.trim() || guest();
  localStorage.setItem('name', $('name').value = name);
  if (r.connected) r.auth(name); else r.options.user = name;
};
$('name').onkeydown = (event) => { if (event.key === 'Enter') $('name').blur(); };

// The connection.

const r = new Revolved({ transports, duration: Number(query.get('duration')) || undefined });
let state = 'connecting';

r.onopen = (user) => {
  state = 'connected';
  $('name').value = user || $('name').value;
};
r.onclose = (reason, again) => { state = again ? 'reconnecting' : 'closed: ' + reason; };
r.ongap = async (channel, { missed, fetch }) => {
  // Where nothing was ever seen the server has had nothing to keep a place for, and nothing is likely to be missing.
  if (missed === null && !(channel === CHAT ? chat : pieces).length) return;
  if (channel === CHAT) return say(null, missed === null ? 'Some of what was said while you were away may be missing' : `${count(missed)} lines said while you were away are not shown`);
  if (channel !== BOARD) return;
  const at = pieces.length, found = await fetch().catch(() => []), gone = missed === null ? null : missed - found.length;
  pieces.splice(at, 0, ...found.map(({ payload }) => payload).filter((piece) => isPiece(piece) && !mine.delete(piece.n)));
  repaint();
  gaps += gone || 0;
  if (gone !== 0) say(null, gone === null ? 'Some of what was drawn while you were away may be gone' : `${count(gone)} pieces of what was drawn while you were away are gone`);
};
r.onerror = (error) => { if (error.code !== 'closed') say(null, `${error.verb}: ${error.message}`); };

function start() {
  state = 'connecting';
  r.connect($('name').value);
}

start();
r.subscribe(BOARD, draw, { history: PIECES_MAX, presence: true }).then(older, () => {});
r.subscribe(CURSORS, point);
r.subscribe(CHAT, (payload, sender) => say(sender || 'server', payload), { history: LINES_MAX });
addEventListener('pagehide', () => {
  sendLine();
  sessionStorage.setItem('me', JSON.stringify({ ...me, name: $('name').value }));
  r.disconnect();
});
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });

/** An answer holds a thousand: what is kept from before those is fetched, and painted below them. */
async function older({ messages }) {
  showMembers();
  if (!messages.length || messages[0].offset === 1) return;
  const past = await r.history(BOARD, { before: messages[0].offset, limit: PIECES_MAX - messages.length });
  pieces.unshift(...past.messages.map(({ payload }) => payload).filter(isPiece).reverse());
  repaint();
}

// The board. What is drawn here is painted at once; what comes back of it is skipped.

const canvas = document.querySelector('canvas'), brush = canvas.getContext('2d');

const isPiece = (piece) => piece && Array.isArray(piece.points);

function draw(piece, sender, info) {
  if (!isPiece(piece) || mine.delete(piece.n)) return;
  keep(piece);
  paint(piece);
  if (info.history) return notice(sender, piece.hue);
  const [x, y] = piece.points.slice(-2);
  point({ ...piece, x, y }, sender);
  draws(sender, piece.hue);
}

function keep(piece) {
  pieces.push(piece);
  if (pieces.length > PIECES_MAX) pieces.shift();
  $('hint').hidden = true;
}

function paint({ hue, points }) {
  const { width, height } = canvas;
  brush.strokeStyle = `hsl(${Number(hue) || 0} 65% 52%)`;
  brush.lineWidth = Math.max(2.5 * (devicePixelRatio || 1), width / 260);
  brush.lineCap = brush.lineJoin = 'round';
  brush.beginPath();
  for (let i = 0; i + 1 < points.length; i += 2) brush.lineTo(points[i] * width, points[i + 1] * height);
  brush.stroke();
}

new ResizeObserver(() => {
  const scale = devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * scale;
  canvas.height = canvas.clientHeight * scale;
  repaint();
}).observe(canvas);

function repaint() {
  brush.clearRect(0, 0, canvas.width, canvas.height);
  pieces.forEach(paint);
}

const round = (number) => Math.round(number * 1e4) / 1e4;
const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return [round((event.clientX - box.left) / box.width), round((event.clientY - box.top) / box.height)];
};

let line = null, sendTimer = 0, cursorTime = 0;

canvas.onpointerdown = (event) => {
  canvas.setPointerCapture(event.pointerId);
  line = place(event);
  extend(place(event));           // a tap leaves a dot
};
canvas.onpointermove = (event) => {
  if (line) extend((event.getCoalescedEvents ? event.getCoalescedEvents() : [event]).flatMap(place));
  else if (Date.now() - cursorTime > CURSOR_MS && r.connected) {
    cursorTime = Date.now();
    const [x, y] = place(event);
    r.publish(CURSORS, { ...me, x, y });
  }
};
canvas.onpointerup = canvas.onpointercancel = () => {
  sendLine();
  line = null;
};

function extend(points) {
  paint({ ...me, points: [...line.slice(-2), ...points] });
  line.push(...points);
  if (!sendTimer) sendTimer = setTimeout(sendLine, STROKE_MS);
}

/** Sends what was drawn since the last time; the next piece begins where this one ends. */
function sendLine() {
  clearTimeout(sendTimer);
  sendTimer = 0;
  if (!line || line.length < 4) return;
  const n = random(), piece = { ...me, points: line, n };
  mine.add(n);
  keep(piece);
  draws(r.user, me.hue);
  // By its id it counts once, should its answer be lost with the session and the library ask again.
  r.publish(BOARD, piece, { id: n });
  line = line.slice(-2);
}

// Colours: each keeps away from those of a smaller `by`, so that of two that are alike only one changes.

const hues = new Map();           // by -> hue, of those seen last

const apart = (a, b) => Math.min((a - b + 360) % 360, (b - a + 360) % 360);

function differ(by, hue) {
  if (by > me.by) return;
  hues.delete(by);
  hues.set(by, hue);
  if (hues.size > HUES_MAX) hues.delete(hues.keys().next().value);
  const room = (own) => Math.min(...[...hues.values()].map((other) => apart(own, other)));
  if (line || room(me.hue) >= HUES_APART) return;
  me.hue = Array.from({ length: 72 }, (_, n) => n * 5).reduce((best, own) => (room(own) > room(best) ? own : best), me.hue);
}

// The others' cursors.

const cursors = new Map();

function point({ by, hue, x, y } = {}, sender) {
  if (!by || by === me.by) return;
  let cursor = cursors.get(by);
  if (!cursor) cursors.set(by, cursor = $('cursors').appendChild(document.createElement('span')));
  differ(by, Number(hue) || 0);
  if (notice(sender, hue)) showMembers();
  cursor.style.setProperty('--hue', Number(hue) || 0);
  cursor.textContent = sender || 'someone';
  cursor.style.left = x * 100 + '%';
  cursor.style.top = y * 100 + '%';
  cursor.classList.toggle('left', x > 0.75);
  clearTimeout(cursor.timer);
  cursor.timer = setTimeout(() => { cursor.remove(); cursors.delete(by); }, CURSOR_IDLE_MS);
}

// The chat.

function say(sender, payload) {
  const text = payload && typeof payload.text === 'string' ? payload.text : typeof payload === 'string' ? payload : JSON.stringify(payload);
  const log = $('log'), atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const item = log.appendChild(document.createElement('li'));
  item.className = !sender ? 'note' : sender === 'server' ? 'server' : sender === r.user ? 'mine' : '';
  if (sender) item.appendChild(document.createElement('b')).textContent = sender;
  item.append(text);
  if (sender) chat.push({ sender, text });
  if (log.children.length > LINES_MAX) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

$('form').onsubmit = (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (text) r.publish(CHAT, { text, name: r.user }, { id: true });
  $('text').value = '';
};

// Who is here, in the colour that was last seen of each, and who draws.

const seen = new Map();         // name -> {hue, timer while drawing}

r.onmembers = showMembers;

function showMembers() {
  const names = (r.members(BOARD) || []).sort((a, b) => a.localeCompare(b)), item = (name) => {
    const li = document.createElement('li'), own = name === r.user, { timer, hue = own ? me.hue : undefined } = seen.get(name) || {};
    li.textContent = name;
    if (own) li.dataset.me = '';
    if (timer) li.dataset.draws = '';
    if (hue !== undefined) li.style.setProperty('--hue', hue);
    return li;
  };
  $('members').hidden = !names.length;
  $('count').textContent = count(names.length);
  const items = names.slice(0, NAMES_MAX).map(item), more = names.length - items.length;
  if (more) items.push(Object.assign(document.createElement('li'), { className: 'more', textContent: `and ${count(more)} more` }));
  $('names').replaceChildren(...items);
  for (const name of seen.keys()) if (!names.includes(name)) seen.delete(name);
}

/** Whether that is news. */
function notice(name, hue) {
  const known = seen.get(name) || { timer: 0 }, news = known.hue !== (Number(hue) || 0);
  seen.set(name, Object.assign(known, { hue: Number(hue) || 0 }));
  return news;
}

function draws(name, hue) {
  const news = notice(name, hue), one = seen.get(name), began = !one.timer;
  clearTimeout(one.timer);
  one.timer = setTimeout(() => { one.timer = 0; showMembers(); }, DRAWS_MS);
  if (news || began) showMembers();
}

// The status line and its buttons.

const NAMES = { websocket: 'WebSocket', sse: 'server-sent events', stream: 'HTTP streaming', longpoll: 'long-polling', jsonp: 'JSONP' };

const stats = () => ({ ...r.csp.stats, lost: r.csp.stats.lost + gaps });

setInterval(() => {
  const now = stats(), shown = state === 'connected' && !r.csp.transport ? 'reconnecting' : state;
  for (const name in now) $(name).textContent = now[name].toLocaleString('en');
  $('state').textContent = shown;
  $('light').className = shown === 'connected' ? 'on' : '';
  $('transport').textContent = NAMES[r.csp.transport] || '';
  $('transport').dataset.transport = r.csp.transport;
}, 100);

$('cut').onclick = () => r.csp.cut();
$('longpoll').onclick = () => {
  const only = $('longpoll').getAttribute('aria-pressed') !== 'true';
  $('longpoll').setAttribute('aria-pressed', only);
  r.switchTo(only ? ['longpoll'] : transports);
};

window.demo = { revolved: r, chat, pieces, me, get members() { return r.members(BOARD); }, get strokes() { return pieces.length; }, get stats() { return stats(); }, get state() { return state; } };
