"""Tokens of another implementation: PyJWT, with keys of Python's cryptography.

    ORB_TEST_BINARY=target/release/orbited python tests/interop/tokens.py     both ways, by `orbited token`
    python tests/interop/tokens.py --write                                    makes tests/interop/tokens.json anew

What PyJWT signs `orbited token check` takes, and what `orbited token make` signs PyJWT takes, for every algorithm; and each
refuses what the other signed with another key.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

FIXTURES = Path(__file__).with_name('tokens.json')
# The moment at which src/token/tests.rs reads the fixtures.
NOW_S = 1_700_000_000
BINARY = os.environ.get('ORB_TEST_BINARY', str(FIXTURES.parents[2] / 'target/release/orbited'))
SECRET = 'a secret that PyJWT signs with, of 40 bytes'


def pair(key):
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def fresh():
    """For each algorithm what signs and what checks."""
    return {
        'HS256': (SECRET, SECRET),
        'RS256': pair(rsa.generate_private_key(65537, 2048)),
        'ES256': pair(ec.generate_private_key(ec.SECP256R1())),
        'EdDSA': pair(ed25519.Ed25519PrivateKey.generate()),
    }


def claims(now):
    return {
        'sub': 'änn', 'exp': now + 3600, 'iat': now, 'nbf': now - 5, 'jti': 'one', 'iss': 'app',
        'channels': {'chat/*': ['subscribe', 'publish'], 'news': ['subscribe']},
    }


def write():
    keys = fresh()
    tokens, jwks = [], []
    for alg, (private, public) in keys.items():
        said = claims(NOW_S)
        tokens.append({'alg': alg, 'claims': said, 'token': jwt.encode(said, private, alg, headers={'kid': alg})})
        algorithm = get_default_algorithms()[alg]
        jwk = json.loads(algorithm.to_jwk(algorithm.prepare_key(public)))
        jwks.append({**jwk, 'kid': alg})
    fixtures = {'keys': {alg: public for alg, (_, public) in keys.items()}, 'tokens': tokens, 'jwks': {'keys': jwks}}
    FIXTURES.write_text(json.dumps(fixtures, indent=1, ensure_ascii=False) + '\n')


def orbited(*args):
    done = subprocess.run([BINARY, 'token', *args], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def check():
    now = int(time.time())
    keys, others = fresh(), fresh()
    others['HS256'] = (SECRET[::-1], SECRET[::-1])
    with tempfile.TemporaryDirectory() as folder:
        def file(name, text):
            path = Path(folder) / name
            path.write_text(text)
            return f'@{path}'

        for alg, (private, public) in keys.items():
            key = f'{alg}:{file("public", public)}'
            status, out, err = orbited('check', '--token-key', key, jwt.encode(claims(now), private, alg))
            assert status == 0 and '"sub":"änn"' in out and 'taken: it ends in 3' in out, (alg, out, err)
            forged = jwt.encode(claims(now), others[alg][0], alg)
            status, out, err = orbited('check', '--token-key', key, forged)
            assert status == 1 and 'token-wrong-signature' in out, (alg, out, err)

            signs = f'mine={alg}:{file("private", private)}'
            status, token, err = orbited(
                'make', '--token-key', signs, '--user', 'änn', '--ttl', '5m',
                '--subscribe', 'chat/*', '--publish', 'chat/*', '--audience', 'us', '--issuer', 'app', '--jti', 'two')
            assert status == 0, (alg, err)
            read = jwt.decode(token.strip(), public, [alg], audience='us', issuer='app')
            assert read['sub'] == 'änn' and read['jti'] == 'two' and read['exp'] - read['iat'] == 300, read
            assert read['channels'] == {'chat/*': ['subscribe', 'publish']}, read
            assert jwt.get_unverified_header(token.strip()) == {'alg': alg, 'kid': 'mine', 'typ': 'JWT'}
            try:
                jwt.decode(token.strip(), others[alg][1], [alg], audience='us')
            except jwt.InvalidSignatureError:
                pass
            else:
                raise AssertionError(f'{alg}: taken with another key')
            print(f'ok {alg}: tokens are taken both ways')


if __name__ == '__main__':
    if sys.argv[1:] == ['--write']:
        write()
    else:
        try:
            check()
        except AssertionError as error:
            print(f'FAILED {error}')
            sys.exit(1)
