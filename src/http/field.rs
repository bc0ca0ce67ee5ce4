//! Which bytes may stand where in a head (RFC 9110 section 5.6.2 and 5.5, RFC 9112 section 5).
//!
//! Data in: header lines without their CRLF. Data out: yes or no, and for a bad line its [`Refusal`].
//! It must not know what any field means.

use super::refusal::Refusal;

/// Whether `bytes` is a non-empty token.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| is_tchar(*b))
}

/// Whether `b` may stand in a token.
pub(super) const fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(
            b,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether `b` may stand in a field value: no control character but HTAB.
pub(super) const fn is_value_byte(b: u8) -> bool {
    b == b'\t' || (b >= b' ' && b != 0x7f)
}

/// `bytes` without blanks (SP, HTAB) at either end.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t');
    let Some(first) = bytes.iter().position(|b| !is_blank(b)) else {
        return &[];
    };
    let last = bytes.iter().rposition(|b| !is_blank(b)).unwrap_or(first);
    bytes.get(first..=last).unwrap_or_default()
}

/// Checks one header line. Only a head already known to be bad comes here: it names the cause.
pub(super) fn check_line(line: &[u8]) -> Result<(), Refusal> {
    if line.contains(&b'\r') {
        return Err(Refusal::BareCr);
    }
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Refusal::ObsFold);
    }
    if !line.iter().all(|b| is_value_byte(*b)) {
        return Err(Refusal::Control);
    }
    let Some(colon) = line.iter().position(|b| *b == b':') else {
        return Err(Refusal::HeaderLine);
    };
    let name = line.get(..colon).unwrap_or_default();
    match name {
        [.., b' ' | b'\t'] => Err(Refusal::SpaceBeforeColon),
        name if is_token(name) => Ok(()),
        _ => Err(Refusal::HeaderName),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_bad_line_has_its_own_cause() {
        let cases: [(&[u8], Refusal); 9] = [
            (b"a: b\rc", Refusal::BareCr),
            (b"a: b\r", Refusal::BareCr),
            (b" a: b", Refusal::ObsFold),
            (b"\tb", Refusal::ObsFold),
            (b"a: \0", Refusal::Control),
            (b"a", Refusal::HeaderLine),
            (b"a : b", Refusal::SpaceBeforeColon),
            (b": b", Refusal::HeaderName),
            (b"X[A]: b", Refusal::HeaderName),
        ];
        for (line, refusal) in cases {
            assert_eq!(
                check_line(line),
                Err(refusal),
                "{:?}",
                line.escape_ascii().to_string()
            );
        }
        assert_eq!(check_line(b"x-a_b.c:\tany \xe9 value "), Ok(()));
    }

    #[test]
    fn trimming_takes_blanks_off_both_ends_only() {
        assert_eq!(trim(b" \ta b\t "), b"a b");
        assert_eq!(trim(b" \t"), b"");
        assert_eq!(trim(b"a"), b"a");
    }
}
