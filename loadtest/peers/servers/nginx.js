// Debian's nginx with Nchan, one worker.
'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { answers, freePort, ready, start } = require('./lib')

const MODULE = ['/usr/lib/nginx/modules', '/usr/share/nginx/modules']
  .map(folder => path.join(folder, 'ngx_nchan_module.so')).find(fs.existsSync)

const config = (folder, port, internal) => `
load_module ${MODULE};
daemon off;
worker_processes 1;
pid ${folder}/pid;
error_log /dev/null;
events { worker_connections 19900; }
http {
  access_log off;
  keepalive_timeout 1h;
  keepalive_requests 1000000;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  nchan_message_buffer_length 64;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    nchan_subscriber_first_message newest;
    location = / { return 200 "ok\\n"; }
    location = /ws { nchan_subscriber websocket; nchan_channel_id loadtest; }
    location = /events { nchan_subscriber eventsource; nchan_channel_id loadtest; }
    location = /poll { nchan_subscriber longpoll; nchan_channel_id loadtest; }
  }
  server {
    listen 127.0.0.1:${internal};
    location / { nchan_publisher http; nchan_channel_id loadtest; }
  }
}
`

/** The master listens before there is a worker. */
const workers = async pid => {
  for (let tries = 0; tries < 200; tries++) {
    const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    if (children) return children.split(' ')
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error('nginx has no worker')
}

const main = async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'loadtest-nginx-'))
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
  // The worker, run as another user, has to come in.
  fs.chmodSync(folder, 0o755)
  const [port, internal] = [await freePort(), await freePort()]
  fs.writeFileSync(path.join(folder, 'nginx.conf'), config(folder, port, internal))
  const master = start('nginx', ['-e', '/dev/null', '-c', path.join(folder, 'nginx.conf')])
  await answers(internal)
  ready(port, internal, [master.pid, ...await workers(master.pid)])
}

main()
