// npm jsio's CSP client in a thread of its own, for tests with other clients that want to be the page.
'use strict';

const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

/** Connects to a CSP base; `onread` gets what comes. Gives back `write` and `close` when it is connected. */
function connect(base, onread) {
  const worker = new Worker(__filename, { workerData: base });
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('message', ([verb, text]) => {
      if (verb === 'read') onread(text);
      else if (verb === 'connected') resolve({ write: (text) => worker.postMessage(text), close: () => worker.terminate() });
      else reject(new Error('jsio: ' + text));
    });
  });
}

function serve() {
  const { CometSession } = require('./jsio_node.js'), session = new CometSession();
  session.onconnect = () => parentPort.postMessage(['connected']);
  session.onread = (text) => parentPort.postMessage(['read', text]);
  session.ondisconnect = (error) => parentPort.postMessage(['ended', String(error)]);
  parentPort.on('message', (text) => session.write(text));
  session.connect(workerData, { encoding: 'utf8', preferredTransport: 'xhr' });
}

if (!isMainThread) serve();

module.exports = { connect };
