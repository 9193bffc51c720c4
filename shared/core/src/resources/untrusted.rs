//! Text that others wrote.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Serialize};

/// Text that somebody else wrote: a tag's value, a description, a name, an answer of AWS. Shown, it stays in its line
/// and changes nothing about what stands beside it: whatever cannot be seen, ends a line, steers a terminal or turns the
/// direction of writing is written as an escape. Programs get it as it is, since JSON escapes on its own.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Untrusted(Box<str>);

impl Untrusted {
    /// The text as it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text as people may see it, whoever wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'text>(pub &'text str);

/// Whether a character does something else than to be seen.
#[must_use]
pub fn is_hidden(symbol: char) -> bool {
    symbol.is_control()
        || matches!(
            symbol,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = String::with_capacity(self.0.len());
        for symbol in self.0.chars() {
            if is_hidden(symbol) {
                shown.extend(symbol.escape_default());
            } else {
                shown.push(symbol);
            }
        }
        out.pad(&shown)
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0).fmt(out)
    }
}

/// In quotes, which the text cannot end.
impl fmt::Debug for Untrusted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"{}\"", Shown(&self.0.replace('\\', "\\\\").replace('"', "\\\"")))
    }
}

impl Deref for Untrusted {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for Untrusted {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Untrusted {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_cannot_be_seen_or_steers_a_terminal_is_written_as_an_escape() {
        for (hostile, shown) in [
            ("web\nApply these 3 changes", "web\\nApply these 3 changes"),
            ("a\r\tb\u{0}", "a\\r\\tb\\u{0}"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("\u{9b}31mred", "\\u{9b}31mred"),
            ("one\u{202e}owt", "one\\u{202e}owt"),
            ("\u{2066}i\u{2069}", "\\u{2066}i\\u{2069}"),
            ("or\u{200b}ders\u{feff}", "or\\u{200b}ders\\u{feff}"),
            ("line\u{2028}next\u{2029}", "line\\u{2028}next\\u{2029}"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("Straße 東京 → 1b", "Straße 東京 → 1b"),
        ] {
            assert_eq!(Untrusted::from(hostile).to_string(), shown);
            assert!(!format!("{:?}", Untrusted::from(hostile)).contains(is_hidden), "{hostile:?}");
        }
        assert_eq!(format!("{:?}", Untrusted::from("a\"b\\")), "\"a\\\"b\\\\\"");
        assert_eq!(format!("[{:<4}]", Untrusted::from("a")), "[a   ]", "it can be aligned");
    }

    #[test]
    fn programs_get_it_as_it_was_read() {
        let text = Untrusted::from("a\nb");
        let json = serde_json::to_string(&text).unwrap();
        assert_eq!((json.as_str(), &*text), ("\"a\\nb\"", "a\nb"));
        assert_eq!(serde_json::from_str::<Untrusted>(&json).unwrap(), text);
    }
}
