// Tokens as applications make them: a JWT by HS256.
'use strict';

const { createHmac } = require('node:crypto');

const SECRET = 'a secret of at least thirty-two bytes';

/** The text of a token that says these claims. */
function token(claims) {
  const part = (fields) => Buffer.from(JSON.stringify(fields)).toString('base64url'), signed = `${part({ alg: 'HS256' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

/** The flags of a server that takes them. */
const TOKENS = ['--token-key', `HS256:${SECRET}`];

module.exports = { token, TOKENS };
