//! Text as an event of `text/event-stream` holds it.
//!
//! In: text, with whatever line ends. Out: a line of data for each of its lines, and the end of the event.

/// Appends the lines of an event with this data, and its end.
pub fn data(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = match after {
            [] => break,
            [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
        };
    }
    out.push(b'\n');
}
