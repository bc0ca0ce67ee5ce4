/*
 * The whiteboard: strokes, cursors and a chat on three channels.
 *
 *   whiteboard          {by, hue, points: [x, y, x, y, …]}   a piece of a stroke; 0 to 1 across and down the board
 *   whiteboard/cursors  {by, hue, x, y}                      apart from the strokes, to keep those alone in the history
 *   chat                {text}                               or plain text, when published from outside
 *
 * `?transports=longpoll,jsonp` and `?name=Ann` help to try things out; `window.demo` shows the state to tests.
 */
'use strict';

const STROKE_MS = 40, CURSOR_MS = 60, CURSOR_IDLE_MS = 10000, PIECES_MAX = 5000, LINES_MAX = 500, HUES_APART = 60, HUES_MAX = 12;

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const transports = query.has('transports') ? query.get('transports').split(',') : CSP.transports;
const me = { by: Math.random().toString(36).slice(2, 10), hue: Math.floor(Math.random() * 360) };
const pieces = [], chat = [], members = new Set();
let gaps = 0;

// Your name: from the address, from last time, or a new one.

const pick = (words) => words.split(' ')[Math.floor(Math.random() * words.split(' ').length)];
const guest = () => pick('Amber Brave Calm Clever Gentle Happy Kind Merry Quiet Sunny') + ' ' + pick('Badger Comet Finch Fox Heron Otter Panda Robin Seal Wren');

$('name').value = query.get('name') || localStorage.getItem('name') || guest();
$('name').onchange = () => {
  const name = $('name').value.trim() || guest();
  localStorage.setItem('name', $('name').value = name);
  if (r.connected) r.auth(name); else r.options.user = name;
};
$('name').onkeydown = (event) => { if (event.key === 'Enter') $('name').blur(); };

// The connection.

const r = new Revolved({ transports });
let state = 'connecting';

r.onopen = (user) => {
  state = 'connected';
  $('name').value = user || $('name').value;
};
r.onclose = (reason, again) => { state = again ? 'reconnecting' : 'closed: ' + reason; };
r.ongap = (channel, { missed }) => {
  gaps += missed || 0;
  say(null, `${missed == null ? 'some' : missed} older messages of ${channel} are gone`);
};
r.onerror = (error) => { if (error.code !== 'closed') say(null, `${error.verb}: ${error.message}`); };

function start() {
  state = 'connecting';
  r.connect($('name').value);
}

start();
r.subscribe('whiteboard', draw, { history: PIECES_MAX });
r.subscribe('whiteboard/cursors', point);
r.subscribe('chat', (payload, sender) => say(sender || 'server', payload), { history: 50, presence: true }).then(({ members: now = [] }) => {
  now.forEach((member) => members.add(member.user || member));
  countMembers();
});
addEventListener('pagehide', () => r.disconnect());
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });

// The board. What is drawn here is painted at once; what comes back of it is skipped.

const canvas = document.querySelector('canvas'), brush = canvas.getContext('2d');

function draw(piece, sender) {
  if (!piece || !Array.isArray(piece.points) || piece.by === me.by) return;
  keep(piece);
  paint(piece);
  const [x, y] = piece.points.slice(-2);
  point({ ...piece, x, y }, sender);
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
  pieces.forEach(paint);
}).observe(canvas);

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
    r.publish('whiteboard/cursors', { ...me, x, y });
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
  const piece = { ...me, points: line };
  keep(piece);
  r.publish('whiteboard', piece);
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
  if (text) r.publish('chat', { text });
  $('text').value = '';
};

r.onjoin = (channel, user) => { members.add(user); countMembers(); };
r.onleave = (channel, user) => { members.delete(user); countMembers(); };
const countMembers = () => {
  $('members').textContent = members.size ? members.size + ' here' : '';
  $('members').title = [...members].join(', ');
};

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

window.demo = { revolved: r, chat, members, me, get strokes() { return pieces.length; }, get stats() { return stats(); }, get state() { return state; } };
