// npm faye: a channel of its in-memory engine.
'use strict'

const http = require('node:http')
const faye = require('faye')
const { collectWhenQuiet, listen, ready, takeMessages } = require('./lib')

const server = http.createServer()
const bayeux = new faye.NodeAdapter({ mount: '/faye', timeout: 45 })
bayeux.attach(server)
collectWhenQuiet(server)

const publish = message => bayeux.getClient().publish('/loadtest', message.toString())

listen(server).then(async port => ready(port, await takeMessages(publish)))
