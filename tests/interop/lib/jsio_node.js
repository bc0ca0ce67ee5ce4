// npm jsio's CSP client in plain node: what it expects of a browser, and its session class.
'use strict';

const http = require('node:http');
const path = require('node:path');

/** As much of XMLHttpRequest as jsio uses. Unlike those on npm it can be opened again after an error, as in a browser. */
class Xhr {
  constructor() { Object.assign(this, { onload: null, onerror: null, withCredentials: false, readyState: 0, status: 0, responseText: '' }); }

  open(method, url) { Object.assign(this, { method, url, headers: {}, readyState: 1, status: 0, responseText: '' }); }

  setRequestHeader(name, value) { this.headers[name] = value; }

  send(data) {
    const request = this.request = http.request(this.url, { method: this.method, headers: this.headers }), chunks = [];
    const finish = (handler, status, text) => {
      if (request !== this.request || this.readyState === 4) return;
      Object.assign(this, { readyState: 4, status, responseText: text });
      this[handler]?.({ type: handler.slice(2) });
    };
    const failed = () => finish('onerror', 0, '');
    request.on('error', failed).on('response', (response) => {
      response.on('data', (chunk) => chunks.push(chunk)).on('error', failed);
      response.on('end', () => finish('onload', response.statusCode, Buffer.concat(chunks).toString()));
    });
    request.end(data || '');
  }

  abort() {
    const request = this.request;
    this.request = null;
    if (request) request.destroy();
  }
}

const browser = { userAgent: 'node', vendor: '', appVersion: '', platform: '' };
const page = { window: globalThis, document: {}, location: { href: 'http://page.test/', host: 'page.test' }, XMLHttpRequest: Xhr };
if (!globalThis.navigator) page.navigator = browser;
Object.assign(globalThis, page);
globalThis.jsio = require('jsio');
jsio.path.add(path.join(path.dirname(require.resolve('jsio/package.json')), 'packages'));
jsio('import net.csp.client as client');

module.exports = { CometSession: client.CometSession };
