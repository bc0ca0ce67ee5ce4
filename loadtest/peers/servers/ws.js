// npm ws: every message to every client, as its README has it. No compression, as by default.
'use strict'

const http = require('node:http')
const { WebSocketServer } = require('ws')
const { collectWhenQuiet, listen, ready, takeMessages } = require('./lib')

const server = http.createServer()
const sockets = new WebSocketServer({ server })
collectWhenQuiet(server)

const publish = message => {
  for (const client of sockets.clients) client.send(message, { binary: false })
}

listen(server).then(async port => ready(port, await takeMessages(publish)))
