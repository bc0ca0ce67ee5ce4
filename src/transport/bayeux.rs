//! The body of every Bayeux answer: one array of messages, plain, or as a call of a script's function.
//!
//! In: replies, shared deliveries. Out: the array in an output queue. What answers what is the node's business.

use crate::mem::{Form, Msg, OutQueue};
use std::rc::Rc;

/// An array under way.
#[derive(Debug)]
pub struct Array<'a> {
    out: &'a mut OutQueue,
    is_script: bool,
    any: bool,
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
        let any = false;
        Self {
            out,
            is_script,
            any,
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
        match self.is_script {
            true => self.append(message.bytes()),
            false => self.out.push_shared(message, Form::Raw),
        }
    }

    /// Closes the array.
    pub fn close(self) {
        let end: &[u8] = if self.is_script { b"]);" } else { b"]" };
        self.out.tail().extend_from_slice(end);
    }

    fn separate(&mut self) {
        if std::mem::replace(&mut self.any, true) {
            self.out.tail().push(b',');
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        match self.is_script {
            true => escape(self.out.tail(), bytes),
            false => self.out.tail().extend_from_slice(bytes),
        }
    }
}

/// JSON as it may stand in a script: two line ends of JavaScript that JSON allows in strings are escaped.
fn escape(out: &mut Vec<u8>, mut bytes: &[u8]) {
    let separator = |bytes: &[u8]| matches!(bytes, [0xE2, 0x80, 0xA8 | 0xA9]);
    while let Some(at) = bytes.windows(3).position(separator) {
        let (before, rest) = bytes.split_at(at);
        out.extend_from_slice(before);
        let last = if rest.get(2) == Some(&0xA8) {
            b'8'
        } else {
            b'9'
        };
        out.extend_from_slice(b"\\u202");
        out.push(last);
        bytes = rest.get(3..).unwrap_or(&[]);
    }
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
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

    fn written(callback: &str) -> String {
        let ledger = Ledger::default();
        let mut out = OutQueue::new(&ledger);
        let mut array = Array::open(&mut out, callback);
        array.text(b"");
        array.shared(&Msg::new("\"a\u{2028}\u{2029}é\"".as_bytes(), &ledger));
        array.text(b"1,2");
        array.close();
        let mut memory = Memory(Vec::new());
        out.write_to(&mut memory);
        String::from_utf8(memory.0).unwrap()
    }

    #[test]
    fn a_script_calls_its_function_and_has_no_line_end_of_its_own() {
        assert_eq!(written(""), "[\"a\u{2028}\u{2029}é\",1,2]");
        assert_eq!(written("a.b"), "/**/a.b([\"a\\u2028\\u2029é\",1,2]);");
    }
}
