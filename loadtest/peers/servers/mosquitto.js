// Debian's Mosquitto, and a bridge that publishes to it, whose cost is not the server's.
'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { answers, bridge, freePort, ready, start, takeMessages } = require('./lib')

const config = port => `
listener ${port} 127.0.0.1
allow_anonymous true
persistence false
max_connections -1
set_tcp_nodelay true
log_dest none
sys_interval 0
`

const TOPIC = Buffer.from('loadtest')
const CONNECT = Buffer.from([0x10, 12, 0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 0, 0, 0])

/** PUBLISH with quality 0; the length in bytes of seven bits, lowest first. */
const publish = message => {
  const body = Buffer.concat([Buffer.from([0, TOPIC.length]), TOPIC, message])
  const head = [0x30]
  let left = body.length
  do {
    head.push(left % 128 | (left >= 128 ? 128 : 0))
    left = Math.floor(left / 128)
  } while (left > 0)
  return Buffer.concat([Buffer.from(head), body])
}

const main = async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'loadtest-mosquitto-'))
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
  fs.chmodSync(folder, 0o755)
  const port = await freePort()
  fs.writeFileSync(path.join(folder, 'conf'), config(port))
  const child = start('mosquitto', ['-c', path.join(folder, 'conf')])
  await answers(port)
  const to = await bridge(port, CONNECT)
  ready(port, await takeMessages(message => to.write(publish(message))), [child.pid])
}

main()
