// npm socket.io: emits to all, which encodes once. WebSocket only; the first request is let go of, as its guide says
// about memory.
'use strict'

const http = require('node:http')
const { Server } = require('socket.io')
const { collectWhenQuiet, listen, ready, takeMessages } = require('./lib')

const server = http.createServer()
const io = new Server(server, { transports: ['websocket'], serveClient: false })
io.engine.on('connection', socket => { socket.request = null })
collectWhenQuiet(server)

listen(server).then(async port => ready(port, await takeMessages(message => io.emit('m', message.toString()))))
