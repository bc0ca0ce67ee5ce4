// Debian's nats-server on one core, and a bridge that publishes to it, whose cost is not the server's.
'use strict'

const { answers, bridge, freePort, ready, start, takeMessages } = require('./lib')

const main = async () => {
  const port = await freePort()
  const child = start('nats-server', ['-a', '127.0.0.1', '-p', `${port}`, '-l', '/dev/null'], { GOMAXPROCS: '1' })
  await answers(port)
  const to = await bridge(port, 'CONNECT {"verbose":false}\r\n')
  to.on('data', data => { if (data.includes('PING')) to.write('PONG\r\n') })
  const publish = message => to.write(Buffer.concat([
    Buffer.from(`PUB loadtest ${message.length}\r\n`), message, Buffer.from('\r\n'),
  ]))
  ready(port, await takeMessages(publish), [child.pid])
}

main()
