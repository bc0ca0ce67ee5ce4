//! The body of every Bayeux answer: one array of messages, plain, as a call of a script's function, or as a piece of a
//! stream.
//!
//! In: replies, shared deliveries, and the row of a stream. Out: the array in an output queue. What answers what is the
//! node's business.

use super::profile::ContentType;
use super::rows::Way;
use crate::mem::{Form, Msg, OutQueue, script};
use std::rc::Rc;

/// An array under way.
#[derive(Debug)]
pub struct Array<'a> {
    out: &'a mut OutQueue,
    spelling: Spelling,
    end: &'static str,
    padding: u16,
    any: bool,
}

/// What the JSON of messages may not hold where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// Nothing: it stands alone.
    Json,
    /// Line ends.
    Line,
    /// What ends a string or the script of a page.
    Script,
}

impl<'a> Array<'a> {
    /// Opens an array; `callback` is the function that a script is to call with it, empty for none.
    pub fn open(out: &'a mut OutQueue, callback: &str) -> Self {
        let is_script = !callback.is_empty();
        if is_script {
            // What begins a script is not the caller's to choose (Rosetta Flash).
            out.tail().extend_from_slice(b"/**/");
            out.tail().extend_from_slice(callback.as_bytes());
            out.tail().push(b'(');
        }
        out.tail().push(b'[');
        let spelling = match is_script {
            true => Spelling::Script,
            false => Spelling::Json,
        };
        Self {
            out,
            spelling,
            end: if is_script { ");" } else { "" },
            padding: 0,
            any: false,
        }
    }

    /// Opens an array in a stream.
    pub fn piece(out: &'a mut OutQueue, way: &Way) -> Self {
        let prefix = way.row.batch_prefix.unwrap_or_default();
        out.tail().extend_from_slice(prefix.as_bytes());
        out.tail().push(b'[');
        Self {
            out,
            spelling: match way.row.content_type {
                ContentType::TextHtml => Spelling::Script,
                _ => Spelling::Line,
            },
            end: way.row.batch_suffix,
            padding: way.padding,
            any: false,
        }
    }

    /// Appends messages that are joined by commas already; none of them is no message.
    pub fn text(&mut self, messages: &[u8]) {
        if messages.is_empty() {
            return;
        }
        self.separate();
        self.append(messages);
    }

    /// Appends a message that others get too.
    pub fn shared(&mut self, message: &Rc<Msg>) {
        self.separate();
        let as_it_is = match self.spelling {
            Spelling::Json => true,
            Spelling::Line => !message.bytes().iter().any(is_line_end),
            Spelling::Script => false,
        };
        match as_it_is {
            true => self.out.push_shared(message, Form::Raw),
            false => self.append(message.bytes()),
        }
    }

    /// Closes the array.
    pub fn close(self) {
        self.out.tail().push(b']');
        self.out.tail().extend_from_slice(self.end.as_bytes());
        pad(self.out, self.padding);
    }

    fn separate(&mut self) {
        if std::mem::replace(&mut self.any, true) {
            self.out.tail().push(b',');
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let out = self.out.tail();
        match self.spelling {
            Spelling::Json => out.extend_from_slice(bytes),
            // Between tokens they count as blanks, and in strings they cannot be.
            Spelling::Line => out.extend(bytes.iter().map(|byte| match is_line_end(byte) {
                true => b' ',
                false => *byte,
            })),
            Spelling::Script => script::in_page(out, bytes),
        }
    }
}

/// What breaks the silence of a stream.
pub fn keepalive(out: &mut OutQueue, way: &Way) {
    if way.keepalive.is_empty() {
        return Array::piece(out, way).close();
    }
    out.tail().extend_from_slice(way.keepalive.as_bytes());
    pad(out, way.padding);
}

/// The end of a stream whose session is over.
pub fn sign_off(out: &mut OutQueue, way: &Way) {
    out.tail().extend_from_slice(way.sign_off.as_bytes());
}

fn pad(out: &mut OutQueue, padding: u16) {
    let end = out.tail().len() + usize::from(padding);
    out.tail().resize(end, b' ');
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::super::rows::BAYEUX;
    use super::*;
    use crate::mem::{Ledger, Sink, Wrote};
    use std::io::IoSlice;

    struct Memory(Vec<u8>);

    impl Sink for Memory {
        fn write(&mut self, parts: &[IoSlice<'_>]) -> Wrote {
            parts.iter().for_each(|part| self.0.extend_from_slice(part));
            Wrote::Some(parts.iter().map(|part| part.len()).sum())
        }
    }

    fn written(open: impl Fn(&mut OutQueue) -> Array<'_>) -> String {
        let ledger = Ledger::default();
        let mut out = OutQueue::new(&ledger);
        let mut array = open(&mut out);
        array.text(b"");
        let message = "[\"a\u{2028}\u{2029}é</script>\",\n3]";
        array.shared(&Msg::new(message.as_bytes(), &ledger));
        array.text(b"1,2");
        array.close();
        let mut memory = Memory(Vec::new());
        out.write_to(&mut memory);
        String::from_utf8(memory.0).unwrap()
    }

    #[test]
    fn a_script_calls_its_function_and_has_no_line_end_of_its_own() {
        let plain = "[[\"a\u{2028}\u{2029}é</script>\",\n3],1,2]";
        assert_eq!(written(|out| Array::open(out, "")), plain);
        assert_eq!(
            written(|out| Array::open(out, "a.b")),
            "/**/a.b([[\"a\\u2028\\u2029é\\u003c/script>\",\n3],1,2]);"
        );
    }

    #[test]
    fn a_piece_of_a_stream_holds_nothing_that_would_end_it() {
        let by = |name: &str| {
            let way = BAYEUX.iter().find(|way| way.row.name == name).unwrap();
            written(|out| Array::piece(out, way))
        };
        let line = "[[\"a\u{2028}\u{2029}é</script>\", 3],1,2]";
        assert_eq!(by("eventsource"), format!("data: {line}\r\n\r\n"));
        assert!(by("mime-message-block").contains(line));
        let page = by("iframe");
        assert!(page.contains("é\\u003c/script>") && page.ends_with(&" ".repeat(2048)));
        assert_eq!(page.matches("</script>").count(), 1);
    }
}
