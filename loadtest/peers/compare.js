// Runs the same load against every peer and prints what came of it as a Markdown table. `run` calls it.
'use strict'

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const SERVERS = path.relative('.', path.join(__dirname, 'servers'))
/** A server of node's, or of its own, which a script on the other core starts. */
const npm = name => `taskset -c 0 node --expose-gc ${SERVERS}/${name}.js`
const program = name => `taskset -c 1 node ${SERVERS}/${name}.js`

const [folder, ...words] = process.argv.slice(2)
const HARNESS = path.join(folder, 'orbited-loadtest')
const ORBITED = path.join(folder, 'orbited')

/** What is compared: a name, the server, how its clients speak; `blind` says that a client cannot know when the
    server holds it, so that its rate of connecting says nothing. */
const PEERS = [
  { name: 'orbited, WebSocket', server: ORBITED, mode: ['ws'] },
  { name: 'orbited, EventSource', server: ORBITED, mode: ['events'] },
  { name: 'orbited, CSP by WebSocket', server: ORBITED, mode: ['csp-ws'] },
  { name: 'orbited, CSP by long-poll', server: ORBITED, mode: ['csp-longpoll'] },
  { name: 'Nchan, WebSocket', server: program('nginx'), mode: ['template', '--websocket', '--path', '/ws'] },
  { name: 'Nchan, EventSource', server: program('nginx'), mode: ['template', '--path', '/events', '--header', 'Accept: text/event-stream'] },
  { name: 'Nchan, long-poll', server: program('nginx'), mode: ['nchan-poll', '--path', '/poll'], blind: true },
  { name: 'ws', server: npm('ws'), mode: ['template', '--websocket'] },
  { name: 'Socket.IO, WebSocket', server: npm('socketio'), mode: ['socket.io'] },
  { name: 'Faye, WebSocket', server: npm('faye'), mode: ['bayeux', '--path', '/faye'] },
  { name: 'Mosquitto, MQTT on TCP', server: program('mosquitto'), mode: ['mqtt'] },
  { name: 'nats-server, NATS on TCP', server: program('nats'), mode: ['nats'] },
]

const options = words => {
  const asked = { n: 5000, time: '10s', churned: 10000, settle: '3s', idle: '2s', repeat: '1', only: [], json: undefined }
  const rest = [...words]
  while (rest.length) {
    const word = rest.shift()
    const value = () => rest.shift() ?? fail(`${word} wants a value`)
    if (word === '--quick') Object.assign(asked, { n: 300, time: '1s', churned: 600, settle: '600ms', idle: '200ms' })
    else if (word === '-n') asked.n = Number(value()) || fail('-n wants a number')
    else if (word === '--only') asked.only.push(value())
    else if (word === '--repeat') asked.repeat = value()
    else if (word === '--json') asked.json = value()
    else fail(`no flag ${word}; see --help`)
  }
  return asked
}

const fail = text => {
  console.error(text)
  process.exit(2)
}

/** What every peer goes through, with no more connections being set up at once than Mosquitto's queue of 100 takes. The
    rest before a look is long enough for what the servers in JavaScript leave to their garbage collector; nothing is cut
    off that is only late. */
const scenarios = asked => ({
  hold: ['hold', '-n', asked.n, '--settle', asked.settle, '--idle', asked.idle],
  fanout: ['fanout', '-n', asked.n, '--rate', '10', '--size', '200', '--time', asked.time, '--settle', asked.settle, '--drain', '2m'],
  churn: ['churn', '-n', Math.min(asked.n, 1000), '--total', asked.churned, '--settle', asked.settle],
})

let child
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => { child?.kill('SIGTERM'); process.exit(1) })
}

/** Runs the harness once; gives back its line of JSON, or why there is none. */
const run = async (peer, scenario, asked) => {
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'loadtest-peers-'))
  const json = path.join(temporary, 'json')
  const words = [...scenario, '--mode', ...peer.mode, '--server', peer.server, '--floor', '--pin', '--window', '64', '--repeat', asked.repeat, '--json', json]
  child = spawn(HARNESS, words.map(String), { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', data => { said += data })
  const status = await new Promise(resolve => child.once('close', resolve))
  const line = fs.existsSync(json) ? fs.readFileSync(json, 'utf8') : ''
  fs.rmSync(temporary, { recursive: true })
  if (status !== 0 || !line) return { trouble: said.trim().split('\n').pop() }
  if (asked.json) fs.appendFileSync(asked.json, JSON.stringify({ peer: peer.name, ...JSON.parse(line) }) + '\n')
  return JSON.parse(line)
}

const grouped = value => Math.round(value).toLocaleString('en-US')
const short = value => value >= 100 ? grouped(value) : value.toPrecision(3)
const figure = (found, name) => found.server?.[name]
const ratio = (found, name) => found.server?.[name] / found.floor?.[name]
const LOST = ['missing', 'repeated', 'reordered', 'refused', 'lost']
const lost = (...all) => all.flatMap(found => LOST.map(name => found.server?.[name] ?? 0)).reduce((a, b) => a + b, 0)

const HEAD = ['', 'bytes each, idle', 'connects, × floor', 'churn, × floor', 'CPU of a delivery, × floor', 'p99, × floor', 'lost', 'process, empty', 'waited']

const cells = (peer, { hold, fanout, churn }) => {
  const some = (found, text) => found.server ? text() : '–'
  return [
    peer.name,
    some(hold, () => grouped(figure(hold, 'bytes_per_conn'))),
    some(hold, () => peer.blind ? '' : `${grouped(figure(hold, 'connect_rate'))}/s, ${ratio(hold, 'connect_rate').toFixed(2)}`),
    some(churn, () => peer.blind ? '' : `${grouped(figure(churn, 'reopen_rate'))}/s, ${ratio(churn, 'reopen_rate').toFixed(2)}`),
    some(fanout, () => `${short(figure(fanout, 'cpu_per_delivery'))} µs, ${ratio(fanout, 'cpu_per_delivery').toFixed(2)}`),
    some(fanout, () => `${short(figure(fanout, 'p99'))} ms, ${ratio(fanout, 'p99').toFixed(2)}`),
    some(fanout, () => grouped(lost(hold, fanout, churn))),
    some(hold, () => `${(figure(hold, 'rss_before') / 1024).toFixed(1)} MiB`),
    some(fanout, () => `${Math.round(fanout.peak?.waited ?? 0)} %, ${Math.round(fanout.floor_peak?.waited ?? 0)} %`),
  ]
}

/** The floor of the first peer's runs, as a line of its own. */
const floorOf = found => Object.fromEntries(Object.entries(found).map(([name, { floor, floor_peak: peak }]) =>
  [name, { server: floor, floor, peak, floor_peak: peak }]))

const row = cells => `| ${cells.join(' | ')} |`

const versions = () => {
  const { dependencies } = JSON.parse(fs.readFileSync(path.join(__dirname, 'package.json'), 'utf8'))
  const npm = Object.entries(dependencies).map(([name, version]) => `${name} ${version}`)
  return [...npm, `node ${process.versions.node}`].join(', ')
}

const main = async () => {
  const asked = options(words)
  const peers = PEERS.filter(peer => !asked.only.length || asked.only.some(text => peer.name.includes(text)))
  if (!peers.length) fail('no peer has --only\'s text in its name')
  if (os.cpus().length < 2) fail('wants two cores: one for the server, one for the load')
  const cpu = os.cpus()[0]?.model.trim() ?? os.arch()
  console.log(`${grouped(asked.n)} connections, 200 bytes to all of them 10 times a second; one core each for server and load.`)
  console.log(`${cpu}, ${os.cpus().length} cores; Linux ${os.release()}; ${new Date().toISOString().slice(0, 10)}; ${versions()}.\n`)
  console.log(row(HEAD))
  console.log(`|${HEAD.map((_, n) => n ? '---:' : '---').join('|')}|`)
  const troubles = []
  let floor = false
  for (const peer of peers) {
    const found = {}
    for (const [name, scenario] of Object.entries(scenarios(asked))) {
      console.error(`${peer.name}: ${name}`)
      found[name] = await run(peer, scenario, asked)
      if (found[name].trouble) troubles.push(`${peer.name}: ${name}: ${found[name].trouble}`)
    }
    if (!floor && Object.values(found).every(({ floor }) => floor)) {
      floor = true
      console.log(row(cells({ name: 'floor' }, floorOf(found))))
    }
    console.log(row(cells(peer, found)))
  }
  console.log('\n*Bytes each* is what the server grew by; what it keeps for connections from its start, as nginx does, is in')
  console.log('*process, empty*, which adds up nginx\'s two processes. V8 had collected its garbage before the look. A long-poll')
  console.log('of Nchan is answered by nothing, so its client cannot know when it is held. *Waited* is the share of the fan-out for')
  console.log('which the server, and the floor, were ready and something else had their core.')
  for (const trouble of troubles) console.log(`\n${trouble}`)
  process.exitCode = troubles.length ? 1 : 0
}

main()
