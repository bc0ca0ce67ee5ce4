//! Tells the bodies of old clients apart: raw `d`, or a form (csp.md section 1.3).
//!
//! Data in: a POST body and the variable names a protocol knows. Data out: which it is, and a form's pairs.
//! It must not know what the names mean, and leaves base64 alone: turning a space back into `+` is the caller's.

use super::url::{Query, cut};

/// Whether `body` is a form: it does not begin (behind blanks) with `[` or `{`, and begins with one of the `known` names and `=`.
/// The content type says nothing: the 2009 client sends its forms as text/plain.
pub fn is_form(body: &[u8], known: &[&str]) -> bool {
    let body = body.trim_ascii_start();
    if matches!(body.first(), None | Some(b'[' | b'{')) {
        return false;
    }
    let (name, _) = cut(body, b'=');
    body.get(name.len()) == Some(&b'=') && known.iter().any(|known| known.as_bytes() == name)
}

/// The pairs of a form body.
pub fn pairs(body: &[u8]) -> Query<'_> {
    Query::new(body.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["s", "a", "d"];

    #[test]
    fn a_body_that_begins_with_a_bracket_is_raw_whatever_follows() {
        for body in ["[[1,0,\"s=1\"]]", " \r\n\t[]", "{\"d\"=1}", "{}", "", "  "] {
            assert!(!is_form(body.as_bytes(), &KNOWN), "{body:?}");
        }
    }

    #[test]
    fn a_body_that_begins_with_a_known_name_is_a_form_and_with_any_other_is_raw() {
        for (body, form) in [
            ("s=KEY&d=[[1,1,\"SGVsbG8gV29ybGQ=\"]]", true),
            ("\nd=", true),
            ("x=1&s=2", false),
            ("s", false),
            ("S=1", false),
            ("null", false),
        ] {
            assert_eq!(is_form(body.as_bytes(), &KNOWN), form, "{body:?}");
        }
    }

    #[test]
    fn the_pairs_of_an_unescaped_form_keep_their_data_whole() {
        let body = b"\ns=KEY&d=[[1,1,\"SGVsbG8gV29ybGQ=\"]]";
        let pairs: Vec<_> = pairs(body)
            .map(|(n, v)| (n.into_owned(), v.into_owned()))
            .collect();
        assert_eq!(
            pairs,
            [
                (b"s".to_vec(), b"KEY".to_vec()),
                (b"d".to_vec(), b"[[1,1,\"SGVsbG8gV29ybGQ=\"]]".to_vec())
            ]
        );
    }
}
