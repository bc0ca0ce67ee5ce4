//! A frame of 0.4, taken apart.
//!
//! In: its bytes up to the blank line, and its body. Out: action, headers without the blanks around them, body. Where it
//! ends is found in `reader`.

/// What an application asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its first line.
    pub action: String,
    /// Its headers in the order they came; some names come again and again.
    pub headers: Vec<(String, String)>,
    /// Its body, without what ends it.
    pub body: Vec<u8>,
}

impl Frame {
    /// Reads the lines in front of the blank one; `None` where they are no action and headers.
    #[must_use]
    pub fn parse(head: &[u8], body: &[u8]) -> Option<Self> {
        let mut lines = lines(head);
        let action = text(lines.next()?).filter(|action| !action.is_empty())?;
        let header = |line| {
            let (name, value) = text(line)?.split_once(':')?;
            let (name, value) = (name.trim(), value.trim());
            (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        };
        Some(Self {
            action: action.trim().to_owned(),
            headers: lines.map(header).collect::<Option<_>>()?,
            body: body.to_owned(),
        })
    }

    /// The first header called `name`.
    #[must_use]
    pub fn header(&self, name: &'static str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every header called `name`.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let of_name = move |(its, _): &&(String, String)| its.eq_ignore_ascii_case(name);
        let headers = self.headers.iter().filter(of_name);
        headers.map(|(_, value)| value.as_str())
    }
}

/// The lines of a head without their ends; the blank one at its end is none.
pub(super) fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bare = |line| <[u8]>::strip_suffix(line, b"\r").unwrap_or(line);
    let lines = head.split(|byte| *byte == b'\n').map(bare);
    lines.filter(|line| !line.is_empty())
}

/// A line as text, which no control character is.
pub(super) fn text(line: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(line).ok()?;
    let bad = |char: char| char.is_control() && char != '\t';
    (!text.contains(bad)).then_some(text)
}

/// What the header `length` says of the body, if it says a number. One too large to be one is the largest, which no bound
/// allows.
pub(super) fn length(head: &[u8]) -> Option<usize> {
    let said = lines(head).skip(1).find_map(|line| {
        let at = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(at)?;
        let named = name.trim_ascii().eq_ignore_ascii_case(b"length");
        named.then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })?;
    let digits = !said.is_empty() && said.iter().all(u8::is_ascii_digit);
    digits.then(|| {
        said.iter().fold(0_usize, |sum, byte| {
            sum.saturating_mul(10)
                .saturating_add(usize::from(byte - b'0'))
        })
    })
}
