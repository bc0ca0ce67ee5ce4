//! Tokens of others, and tokens that nobody should take.

use super::*;
use crate::config::{Material, TokenKey};
use serde_json::json;

const SECRET: &str = "a secret of at least thirty-two bytes";
const NOW_MS: u64 = 1_700_000_000_000;
const NOW_S: u64 = NOW_MS / 1000;

fn key(text: &str) -> TokenKey {
    TokenKey::parse(text).unwrap()
}

fn hs(secret: &str) -> TokenKey {
    key(&format!("HS256:{secret}"))
}

fn config(keys: Vec<TokenKey>) -> Config {
    Config {
        token_keys: keys,
        ..Config::default()
    }
}

fn keys(all: Vec<TokenKey>) -> Keys {
    Keys::new(&config(all)).unwrap()
}

fn made(claims: &Value) -> String {
    Signer::new(&hs(SECRET)).unwrap().sign(claims).unwrap()
}

fn live(more: Value) -> Value {
    let mut claims = json!({"sub": "ann", "exp": NOW_S + 60});
    let fields = claims.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    claims
}

fn check(claims: &Value) -> Result<Claims, Bad> {
    keys(vec![hs(SECRET)]).check(&made(claims), NOW_MS)
}

/// A token of any header, signed by HS256 with `secret`.
fn headed(header: &Value, secret: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(&live(json!({}))));
    let key = jsonwebtoken::EncodingKey::from_secret(secret);
    let alg = jsonwebtoken::Algorithm::HS256;
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, alg).unwrap();
    format!("{signed}.{signature}")
}

fn set(text: &str) -> Keys {
    let config = Config {
        token_jwks: vec![Material::Text(text.into())],
        ..Config::default()
    };
    Keys::new(&config).unwrap()
}

/// The examples of RFC 7515, appendix A.1 to A.3: one payload, three algorithms. It is that of RFC 7519 section 3.1.
#[test]
fn the_examples_of_the_rfcs_are_read() {
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let examples = [
        (
            r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
            "eyJhbGciOiJSUzI1NiJ9",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
            "eyJhbGciOiJFUzI1NiJ9",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ];
    for (jwk, header, signature) in examples {
        let keys = set(&format!("{{\"keys\":[{jwk}]}}"));
        let token = format!("{header}.{payload}.{signature}");
        let before_ms = 1_300_819_380_000 + keys.leeway_ms() - 1;
        let claims = keys.check(&token, before_ms).unwrap();
        assert_eq!(claims.issuer.as_deref(), Some("joe"), "{header}");
        assert_eq!(keys.check(&token, before_ms + 1), Err(Bad::Expired));
        let other = token.replace(".eyJpc3M", ".eyJpc3N");
        assert_eq!(keys.check(&other, before_ms), Err(Bad::Signature));
    }
}

/// Tokens that PyJWT made, with keys that Python's cryptography made: `tests/interop/tokens.py --write`.
#[test]
fn tokens_of_another_implementation_say_what_they_said_there() {
    let fixtures = include_str!("../../tests/interop/tokens.json");
    let fixtures: Value = serde_json::from_str(fixtures).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for (alg, public) in fixtures["keys"].as_object().unwrap() {
        let key = key(&format!("{alg}:{}", text(public)));
        let keys = keys(vec![key]);
        for token in fixtures["tokens"].as_array().unwrap() {
            let read = keys.check(&text(&token["token"]), NOW_MS);
            if token["alg"] != *alg {
                assert_eq!(read, Err(Bad::Alg));
                continue;
            }
            let read = read.unwrap();
            let claims = token["claims"].as_object().unwrap().clone();
            assert_eq!(read, Claims::of(claims).unwrap(), "{alg}");
            assert!(read.let_do(Do::Publish, "chat/räume"));
        }
    }
    let all = set(&fixtures["jwks"].to_string());
    for token in fixtures["tokens"].as_array().unwrap() {
        assert!(all.check(&text(&token["token"]), NOW_MS).is_ok(), "{token}");
    }
}

#[test]
fn no_algorithm_is_an_algorithm() {
    let keys = keys(vec![hs(SECRET)]);
    for alg in [
        "none", "None", "NONE", "", "hs256", "HS512", "RS256", "ES256",
    ] {
        let token = headed(&json!({"alg": alg}), SECRET.as_bytes());
        assert_eq!(keys.check(&token, NOW_MS), Err(Bad::Alg), "{alg}");
        let (signed, _) = token.rsplit_once('.').unwrap();
        for unsigned in [signed.to_owned(), format!("{signed}.")] {
            assert_eq!(keys.check(&unsigned, NOW_MS), Err(Bad::Form));
        }
    }
    for header in [
        json!({}),
        json!({"alg": null}),
        json!({"alg": 5}),
        json!([]),
        json!({"alg":"HS256","crit":["exp"]}),
        json!({"alg":"HS256","kid":7}),
    ] {
        let token = headed(&header, SECRET.as_bytes());
        assert_eq!(keys.check(&token, NOW_MS), Err(Bad::Form), "{header}");
    }
}

/// CVE-2015-9235: the text of a public key is no secret.
#[test]
fn a_public_key_is_not_taken_for_a_secret() {
    let fixtures = include_str!("../../tests/interop/tokens.json");
    let fixtures: Value = serde_json::from_str(fixtures).unwrap();
    for alg in ["RS256", "ES256", "EdDSA"] {
        let public = fixtures["keys"][alg].as_str().unwrap();
        let all = keys(vec![key(&format!("{alg}:{public}"))]);
        let forged = headed(&json!({"alg": "HS256"}), public.as_bytes());
        assert_eq!(all.check(&forged, NOW_MS), Err(Bad::Alg));
        let forged = headed(&json!({"alg": alg}), public.as_bytes());
        assert_eq!(all.check(&forged, NOW_MS), Err(Bad::Signature));
    }
}

#[test]
fn a_key_s_own_pem_and_no_other_is_taken_for_its_algorithm() {
    let fixtures = include_str!("../../tests/interop/tokens.json");
    let fixtures: Value = serde_json::from_str(fixtures).unwrap();
    let algs = ["RS256", "ES256", "EdDSA"];
    for (alg, of) in algs.iter().flat_map(|alg| algs.map(|of| (*alg, of))) {
        let public = fixtures["keys"][of].as_str().unwrap();
        let key = key(&format!("{alg}:{public}"));
        let taken = Keys::new(&config(vec![key])).is_ok();
        assert_eq!(taken, alg == of, "{alg} {of}");
    }
    let error = Keys::new(&config(vec![key("RS256:no key at all")])).unwrap_err();
    assert!(
        error.to_string().contains("BEGIN PUBLIC KEY") && !error.to_string().contains("at all")
    );
}

#[test]
fn a_token_has_its_time() {
    let at = |exp: Value| check(&json!({"exp": exp})).map(|claims| claims.exp);
    let leeway_s = Config::default().token_leeway_ms / 1000;
    assert_eq!(at(json!(NOW_S - leeway_s)), Err(Bad::Expired));
    assert_eq!(at(json!(NOW_S - leeway_s + 1)), Ok(NOW_S - leeway_s + 1));
    assert_eq!(at(json!(NOW_S as f64 + 5.7)), Ok(NOW_S + 5));
    let life_s = Config::default().token_life_ms / 1000;
    assert!(at(json!(NOW_S + life_s + leeway_s)).is_ok());
    assert_eq!(at(json!(NOW_S + life_s + leeway_s + 1)), Err(Bad::Lasting));
    assert_eq!(at(json!(1e300)), Err(Bad::Lasting));
    assert_eq!(at(json!(u64::MAX)), Err(Bad::Lasting));
    for exp in [
        json!(-1),
        json!("1700000060"),
        json!(null),
        json!([NOW_S]),
        json!(true),
    ] {
        assert_eq!(at(exp.clone()), Err(Bad::Claim("exp")), "{exp}");
    }
    assert_eq!(check(&json!({"sub": "ann"})), Err(Bad::Claim("exp")));
    assert!(check(&live(json!({"nbf": NOW_S + leeway_s}))).is_ok());
    assert_eq!(
        check(&live(json!({"nbf": NOW_S + leeway_s + 1}))),
        Err(Bad::Early)
    );
}

#[test]
fn a_token_is_for_who_is_meant_and_of_who_is_known() {
    let told = |audience: &[&str], issuer: &[&str], more: Value| {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        let config = Config {
            token_audience: owned(audience),
            token_issuer: owned(issuer),
            ..config(vec![hs(SECRET)])
        };
        let keys = Keys::new(&config).unwrap();
        keys.check(&made(&live(more)), NOW_MS).map(drop)
    };
    assert_eq!(told(&[], &[], json!({})), Ok(()));
    assert_eq!(told(&[], &[], json!({"aud": "us"})), Err(Bad::Audience));
    assert_eq!(told(&["us"], &[], json!({})), Err(Bad::Audience));
    assert_eq!(
        told(&["us"], &[], json!({"aud": "them"})),
        Err(Bad::Audience)
    );
    assert_eq!(told(&["us"], &[], json!({"aud": []})), Err(Bad::Audience));
    assert_eq!(
        told(&["us", "you"], &[], json!({"aud": ["them", "you"]})),
        Ok(())
    );
    assert_eq!(
        told(&["us"], &[], json!({"aud": {"us": 1}})),
        Err(Bad::Claim("aud"))
    );
    assert_eq!(told(&[], &["app"], json!({"iss": "app"})), Ok(()));
    assert_eq!(told(&[], &["app"], json!({"iss": "App"})), Err(Bad::Issuer));
    assert_eq!(told(&[], &["app"], json!({})), Err(Bad::Issuer));
    assert_eq!(
        told(&[], &["app"], json!({"iss": ["app"]})),
        Err(Bad::Claim("iss"))
    );
}

#[test]
fn what_is_cut_or_changed_anywhere_is_refused() {
    let keys = keys(vec![hs(SECRET)]);
    let token = made(&live(json!({"channels": ["a"]})));
    assert!(keys.check(&token, NOW_MS).is_ok());
    for end in 0..token.len() {
        assert!(keys.check(&token[..end], NOW_MS).is_err(), "{end}");
    }
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(keys.check(&changed, NOW_MS).is_err(), "{at}");
    }
    for text in ["", ".", "..", "...", "a.b.c", "\0", "{}", "null", "é.é.é"] {
        assert_eq!(keys.check(text, NOW_MS), Err(Bad::Form), "{text}");
    }
    for more in [
        format!("{token}="),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}.x"),
        format!("Bearer {token}"),
    ] {
        assert!(keys.check(&more, NOW_MS).is_err(), "{more}");
    }
}

#[test]
fn what_is_huge_is_refused() {
    let long = "x".repeat(TOKEN_BYTES_MAX);
    assert_eq!(check(&live(json!({"x": long}))), Err(Bad::TooLong));
    let many: Vec<String> = (0..=claims::RIGHTS_MAX).map(|n| n.to_string()).collect();
    assert_eq!(
        check(&live(json!({"channels": many}))),
        Err(Bad::Claim("channels"))
    );
    assert!(check(&live(json!({"channels": many[1..]}))).is_ok());
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let token = format!(
        "{}.{}.AA",
        part("{\"alg\":\"HS256\"}"),
        part(&format!("{{\"exp\":{deep}}}"))
    );
    assert_eq!(
        keys(vec![hs(SECRET)]).check(&token, NOW_MS),
        Err(Bad::Signature),
        "it is not read before"
    );
    for claims in [
        json!({"sub": ""}),
        json!({"sub": 5}),
        json!({"sub": "x".repeat(256)}),
        json!({"sub": "a\nb"}),
    ] {
        assert_eq!(check(&live(claims)), Err(Bad::Claim("sub")));
    }
    assert_eq!(
        check(&live(json!({"jti": "x".repeat(256)}))),
        Err(Bad::Claim("jti"))
    );
}

#[test]
fn keys_are_told_apart_by_their_names() {
    let (one, two) = ("1".repeat(32), "2".repeat(32));
    let all = || {
        vec![
            key(&format!("old=HS256:{one}")),
            key(&format!("new=HS256:{two}")),
        ]
    };
    let both = keys(all());
    let with = |id: Value, secret: &str| {
        let token = headed(&json!({"alg": "HS256", "kid": id}), secret.as_bytes());
        both.check(&token, NOW_MS).map(drop)
    };
    assert_eq!(with(json!("old"), &one), Ok(()));
    assert_eq!(with(json!("new"), &two), Ok(()));
    assert_eq!(with(json!("old"), &two), Err(Bad::Signature));
    assert_eq!(with(json!("third"), &one), Err(Bad::UnknownKey));
    assert_eq!(with(json!("../../etc/passwd"), &one), Err(Bad::UnknownKey));
    let token = headed(&json!({"alg": "HS256"}), two.as_bytes());
    assert_eq!(both.check(&token, NOW_MS), Err(Bad::UnknownKey));
    let only = keys(vec![key(&format!("new=HS256:{two}"))]);
    assert!(only.check(&token, NOW_MS).is_ok());
    let third = hs(&"3".repeat(32));
    let unnamed = keys(vec![all().remove(0), third, hs(&two)]);
    assert!(unnamed.check(&token, NOW_MS).is_ok());
    let of_named = headed(&json!({"alg": "HS256"}), one.as_bytes());
    assert_eq!(unnamed.check(&of_named, NOW_MS), Err(Bad::Signature));
    let mut twice = all();
    twice.push(key(&format!("old=HS256:{two}")));
    assert_eq!(
        Keys::new(&config(twice)).unwrap_err(),
        BadKey::Twice("old".into())
    );
    let many = (0..=KEYS_MAX).map(|_| hs(SECRET)).collect();
    assert_eq!(Keys::new(&config(many)).unwrap_err(), BadKey::TooMany);
}

#[test]
fn a_set_is_read_as_far_as_it_is_for_us() {
    let error = |text: &str| {
        let config = Config {
            token_jwks: vec![Material::Text(text.into())],
            ..Config::default()
        };
        Keys::new(&config).unwrap_err()
    };
    let short = r#"{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}"#;
    assert_eq!(error(short), BadKey::Short);
    assert_eq!(error("[]"), BadKey::Set);
    assert_eq!(error(r#"{"keys":[]}"#), BadKey::EmptySet);
    let secret = URL_SAFE_NO_PAD.encode(SECRET);
    let oct = |more: &str| format!(r#"{{"kty":"oct","k":"{secret}"{more}}}"#);
    let twice = format!("{{\"keys\":[{0},{0}]}}", oct(",\"kid\":\"a\""));
    assert_eq!(error(&twice), BadKey::Twice("a".into()));
    let other = format!(
        "{{\"keys\":[{},{}]}}",
        oct(",\"use\":\"enc\""),
        oct(",\"alg\":\"HS512\"")
    );
    assert_eq!(error(&other), BadKey::EmptySet);
    let mixed = format!("{{\"keys\":[{{\"kty\":\"LATER\"}},{}]}}", oct(""));
    assert!(set(&mixed).check(&made(&live(json!({}))), NOW_MS).is_ok());
    assert_eq!(
        error(r#"{"keys":[{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}]}"#),
        BadKey::EmptySet
    );
}

#[test]
fn rights_are_for_names_and_for_patterns_within_them() {
    let claims = check(&live(json!({"channels": {
        "a/*": ["subscribe"], "b/**": ["subscribe", "publish"], "c": ["publish"], "d": []
    }})));
    let claims = claims.unwrap();
    let reads = |topic| claims.let_do(Do::Subscribe, topic);
    let writes = |topic| claims.let_do(Do::Publish, topic);
    for topic in ["a/1", "a/*", "b/1", "b/1/2", "b/*", "b/**", "b/c/**"] {
        assert!(reads(topic), "{topic}");
    }
    for topic in [
        "a", "a/**", "a/1/2", "a/1/*", "b", "c", "d", "*", "**", "ab/1", "/a/1",
    ] {
        assert!(!reads(topic), "{topic}");
    }
    assert!(writes("c") && writes("b/1") && !writes("a/1") && !writes("d") && !writes("c/1"));
    let listed = check(&live(json!({"channels": ["a"]}))).unwrap();
    assert!(listed.let_do(Do::Subscribe, "a") && !listed.let_do(Do::Publish, "a"));
    for bad in [
        json!("a"),
        json!(["a//b"]),
        json!(["/a"]),
        json!([""]),
        json!([5]),
        json!({"a": "subscribe"}),
        json!({"a": ["read"]}),
        json!({"*/a": []}),
        json!(["a*"]),
    ] {
        assert_eq!(
            check(&live(json!({"channels": bad}))),
            Err(Bad::Claim("channels")),
            "{bad}"
        );
    }
}

#[test]
fn what_is_refused_says_nothing_of_keys_or_tokens() {
    let keys = keys(vec![key(&format!("id=HS256:{SECRET}"))]);
    assert!(!format!("{keys:?}").contains("secret"));
    assert!(!format!("{:?}", hs(SECRET)).contains("thirty"));
    let all = [
        Bad::NoKeys,
        Bad::TooLong,
        Bad::Form,
        Bad::Alg,
        Bad::UnknownKey,
        Bad::Signature,
        Bad::Claim("x"),
        Bad::Expired,
        Bad::Early,
        Bad::Lasting,
        Bad::Audience,
        Bad::Issuer,
        Bad::Revoked,
        Bad::User,
        Bad::Ticket,
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(|bad| bad.code()).collect();
    assert_eq!(codes.len(), all.len());
    assert_eq!(Keys::default().check("a.b.c", 0), Err(Bad::NoKeys));
}

#[test]
fn what_is_made_is_taken() {
    let wanted = Wanted {
        user: Some("ann".into()),
        subscribe: vec!["a".into(), "b/*".into()],
        publish: vec!["a".into()],
        ..Wanted::default()
    };
    let signer = Signer::new(&key(&format!("k1=HS256:{SECRET}"))).unwrap();
    let token = signer.make(&wanted, NOW_S, 60).unwrap();
    let all = keys(vec![key(&format!("k1=HS256:{SECRET}"))]);
    let claims = all.check(&token, NOW_MS).unwrap();
    assert_eq!((claims.exp, claims.iat), (NOW_S + 60, Some(NOW_S)));
    assert!(claims.let_do(Do::Publish, "a") && !claims.let_do(Do::Publish, "b/1"));
    let (text, taken) = all.report(&token, NOW_MS);
    assert!(
        taken && text.contains("\"sub\":\"ann\"") && text.ends_with("taken: it ends in 60 s\n"),
        "{text}"
    );
    let (text, taken) = all.report(&token, NOW_MS + 80_000);
    assert!(
        !taken && text.ends_with("refused: token-expired: the token has expired\n"),
        "{text}"
    );
    let (text, _) = keys(vec![hs(&"y".repeat(32))]).report(&token, NOW_MS);
    assert!(
        text.contains("refused: token-wrong-signature") && text.contains("nobody has signed"),
        "{text}"
    );
}
