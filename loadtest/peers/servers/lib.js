// What the peers' servers share: the port that takes messages, the line that says they are ready, and ends by signal.
'use strict'

const { spawn } = require('node:child_process')
const http = require('node:http')
const net = require('node:net')

const LOCAL = '127.0.0.1'

/** Listens on a free port, and gives it back. */
exports.listen = server => new Promise((resolve, reject) => {
  server.once('error', reject)
  server.listen({ host: LOCAL, port: 0, backlog: 4096 }, () => resolve(server.address().port))
})

/** A port that was free just now, for programs that cannot say which they took. */
exports.freePort = async () => {
  const server = net.createServer()
  const port = await exports.listen(server)
  await new Promise(resolve => server.close(resolve))
  return port
}

/** Takes POSTs, whatever their path, and gives `publish` their text; gives back the port. */
exports.takeMessages = publish => exports.listen(http.createServer((request, response) => {
  const parts = []
  request.on('data', part => parts.push(part))
  request.on('end', () => {
    publish(Buffer.concat(parts))
    response.end()
  })
}).on('connection', socket => socket.setNoDelay(true)))

/** Says where clients and publishers connect, and which processes are the server if this one is not. */
exports.ready = (port, internal, pids = []) => {
  const of = pids.length ? ` pid=${pids.join(',')}` : ''
  console.log(`ready http=${LOCAL}:${port} internal=${LOCAL}:${internal}${of}`)
}

/** Collects what handshakes left behind once no connection has come or gone for a moment, so that a peer on V8 is
    not charged for garbage. Needs node --expose-gc. */
exports.collectWhenQuiet = server => {
  let timer
  const later = () => {
    clearTimeout(timer)
    timer = setTimeout(() => global.gc?.(), 500)
  }
  server.on('connection', socket => { later(); socket.on('close', later) })
}

/** Starts a program on the first core; it ends with this process, and this process with it. */
exports.start = (command, words, env = {}) => {
  const child = spawn('taskset', ['-c', '0', command, ...words], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  })
  const end = () => child.kill('SIGTERM')
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
  child.once('exit', code => process.exit(code ?? 1))
  return child
}

/** Waits until somebody listens there. */
exports.answers = async port => {
  for (let tries = 0; tries < 200; tries++) {
    const socket = net.connect(port, LOCAL)
    const open = await new Promise(resolve => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (open) return
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error(`nobody listens on port ${port}`)
}

/** A connection to a program that takes messages in its own protocol. */
exports.bridge = async (port, hello) => {
  const socket = net.connect({ host: LOCAL, port, noDelay: true })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.write(hello)
  // What it says is not needed, but has to be read.
  socket.resume()
  return socket
}
