//! No text is taken for a token that the key did not sign, whatever it is; and what is signed says what it says.

#![allow(clippy::expect_used, reason = "a target fails by panicking")]

use orbited::config::{Config, TokenKey};
use orbited::token::{Bad, Claims, Keys, Signer};
use serde_json::Value;

/// Panics where a token is taken that nobody signed, or one that is signed is not read as its claims are.
pub fn run(data: &[u8]) {
    let key = TokenKey::parse("HS256:a secret of at least thirty-two bytes").expect("a key");
    let config = Config {
        token_keys: vec![key.clone()],
        ..Config::default()
    };
    let keys = Keys::new(&config).expect("a key");
    let text = String::from_utf8_lossy(data);
    let read = keys.read(&text);
    assert!(matches!(read, Err(Bad::Form | Bad::Alg | Bad::Signature | Bad::TooLong)), "{read:?}");
    let _ = keys.report(&text, 0);
    let Ok(claims @ Value::Object(_)) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let token = Signer::new(&key).expect("a key").sign(&claims).expect("a key");
    let fields = claims.as_object().expect("an object").clone();
    match keys.read(&token) {
        Err(Bad::TooLong) => assert!(token.len() > 8 * 1024),
        read => assert_eq!(read, Claims::of(fields)),
    }
}
