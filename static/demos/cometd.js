/*
 * The whiteboard's channels by CometD's own client: /demo/board and /demo/chat are demo/board and demo/chat of Revolved.
 *
 * The client comes from --static-dir, as npm puts it there. A delivery of Bayeux does not say who sent it, so each line of the
 * chat says so itself. The acknowledgement extension makes sure that a cut loses and repeats nothing.
 * `?name=Ann` and `?transports=long-polling` help to try things out; `window.demo` shows the state to tests.
 */
const LIBRARY = '/node_modules/cometd/', LINES_MAX = 500, PIECES_MAX = 5000;

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const chat = [], pieces = [], counts = { received: 0, handshakes: 0 };

// The chat.

function say(name, text, kind = '') {
  const log = $('log'), atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40, item = log.appendChild(document.createElement('li'));
  item.className = kind;
  if (name) item.appendChild(document.createElement('b')).textContent = name;
  item.append(text);
  if (log.children.length > LINES_MAX) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

/** {text, name} of a page, or whatever was published from outside. */
function hear({ data }) {
  counts.received++;
  const line = data && typeof data.text === 'string' ? data : { text: typeof data === 'string' ? data : JSON.stringify(data), name: 'server' };
  const name = typeof line.name === 'string' ? line.name : 'someone';
  chat.push({ name, text: line.text });
  say(name, line.text, name === 'server' ? 'server' : name === $('name').value ? 'mine' : '');
}

// The board, which is only looked at here.

const canvas = document.querySelector('canvas'), brush = canvas.getContext('2d');

function draw({ data: piece }) {
  counts.received++;
  if (!piece || !Array.isArray(piece.points)) return;
  pieces.push(piece);
  if (pieces.length > PIECES_MAX) pieces.shift();
  $('hint').hidden = true;
  paint(piece);
}

function paint({ hue, points }) {
  const { width, height } = canvas;
  brush.strokeStyle = `hsl(${Number(hue) || 0} 65% 52%)`;
  brush.lineWidth = Math.max(2.5 * devicePixelRatio, width / 260);
  brush.lineCap = brush.lineJoin = 'round';
  brush.beginPath();
  for (let i = 0; i + 1 < points.length; i += 2) brush.lineTo(points[i] * width, points[i + 1] * height);
  brush.stroke();
}

new ResizeObserver(() => {
  canvas.width = canvas.clientWidth * devicePixelRatio;
  canvas.height = canvas.clientHeight * devicePixelRatio;
  pieces.forEach(paint);
}).observe(canvas);

// The connection.

const { CometD } = await import(LIBRARY + 'cometd.js').catch(() => ({})), { AckExtension } = await import(LIBRARY + 'AckExtension.js').catch(() => ({}));
const only = (query.get('transports') || 'websocket,long-polling').split(',');
let client = null;

/** A client whose handshake says who this is; the server tells nobody else's pages anything but the text. */
function connect() {
  client = new CometD();
  ['websocket', 'long-polling', 'callback-polling'].filter((name) => !only.includes(name)).forEach((name) => client.unregisterTransport(name));
  client.registerExtension('ack', new AckExtension());
  client.configure({ url: new URL('/cometd', location).href, logLevel: 'warn' });
  client.addListener('/meta/handshake', ({ successful, error }) => {
    if (!successful) return error && say(null, 'The server says ' + error, 'note');
    counts.handshakes++;
    client.batch(() => {
      client.subscribe('/demo/chat', hear);
      client.subscribe('/demo/board', draw);
    });
  });
  client.handshake({ ext: { authentication: { user: $('name').value } } });
}

/** Begins anew when the one before has gone. */
const again = () => (client.isDisconnected() ? connect() : client.disconnect(connect));

$('name').value = query.get('name') || localStorage.getItem('name') || 'Guest ' + Math.floor(Math.random() * 1000);
$('name').onchange = () => {
  localStorage.setItem('name', $('name').value);
  again();
};

$('form').onsubmit = (event) => {
  event.preventDefault();
  const text = $('text').value.trim(), failed = ({ successful, error }) => { if (!successful) say(null, 'Not sent: ' + (error || 'no connection'), 'note'); };
  if (text) client.publish('/demo/chat', { text, name: $('name').value }, failed);
  $('text').value = '';
};

$('longpoll').onclick = () => {
  const on = $('longpoll').getAttribute('aria-pressed') !== 'true';
  $('longpoll').setAttribute('aria-pressed', on);
  only.splice(0, 2, ...on ? ['long-polling'] : ['websocket', 'long-polling']);
  again();
};

function show() {
  const state = client.getStatus(), transport = client.getTransport();
  for (const name in counts) $(name).textContent = counts[name].toLocaleString('en');
  $('state').textContent = state;
  $('light').className = state === 'connected' ? 'on' : '';
  $('transport').textContent = state === 'connected' && transport ? transport.type.replace('websocket', 'WebSocket') : '';
}

if (CometD && AckExtension) {
  connect();
  setInterval(show, 100);
  addEventListener('pagehide', () => client.disconnect());
} else {
  $('state').textContent = 'no client library';
  say(null, `${LIBRARY}cometd.js is not there: see below how it gets there`, 'note');
  for (const id of ['name', 'text', 'longpoll']) $(id).disabled = true;
}

window.demo = { chat, pieces, counts, get client() { return client; } };
