//! Cuts Metal source into tokens. Comments become spaces; what stands between tokens is kept, so that lines keep their numbers.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or a keyword.
    Word,
    /// A number, with its suffix.
    Number,
    /// One sign; `::` and `->` are one, everything else is cut into single signs.
    Sign,
    /// A string or a character.
    Text,
    /// A whole line of the preprocessor.
    Directive,
}

/// A token with the white space in front of it.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) space: String,
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text && self.kind != Kind::Text
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Tokens of a source, and the space behind the last one.
pub(crate) fn tokens(source: &str) -> (Vec<Token>, String) {
    let bytes: Vec<char> = source.chars().collect();
    let (mut at, mut line) = (0, 1);
    let mut found = Vec::new();
    let mut space = String::new();
    let mut fresh = true; // nothing but space on this line so far
    while let Some(&c) = bytes.get(at) {
        let next = bytes.get(at + 1).copied().unwrap_or('\0');
        let start = at;
        let kind = if c.is_whitespace() {
            fresh |= c == '\n';
            line += usize::from(c == '\n');
            space.push(c);
            at += 1;
            continue;
        } else if c == '/' && (next == '/' || next == '*') {
            let end = if next == '/' { "\n" } else { "*/" };
            let rest: String = bytes[at..].iter().collect();
            let length = rest[2..].find(end).map_or(rest.len(), |found| found + 2 + if next == '*' { 2 } else { 0 });
            space.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            line += rest[..length].matches('\n').count();
            at += rest[..length].chars().count();
            continue;
        } else if c == '#' && fresh {
            while at < bytes.len() && (bytes[at] != '\n' || bytes[at - 1] == '\\') {
                at += 1;
            }
            Kind::Directive
        } else if c.is_ascii_digit() || (c == '.' && next.is_ascii_digit()) {
            while at < bytes.len()
                && (is_word(bytes[at])
                    || bytes[at] == '.'
                    || (matches!(bytes[at], '+' | '-') && matches!(bytes[at - 1], 'e' | 'E' | 'p' | 'P')))
            {
                // In 0x1e+5 the sign is one of its own.
                let hexadecimal = bytes.get(start + 1).is_some_and(|x| matches!(x, 'x' | 'X'));
                if matches!(bytes[at], '+' | '-') && hexadecimal && matches!(bytes[at - 1], 'e' | 'E') {
                    break;
                }
                at += 1;
            }
            Kind::Number
        } else if is_word(c) {
            while at < bytes.len() && is_word(bytes[at]) {
                at += 1;
            }
            Kind::Word
        } else if c == '"' || c == '\'' {
            at += 1;
            while at < bytes.len() && bytes[at] != c {
                at += if bytes[at] == '\\' { 2 } else { 1 };
            }
            at = (at + 1).min(bytes.len());
            Kind::Text
        } else {
            at += if (c == ':' && next == ':') || (c == '-' && next == '>') { 2 } else { 1 };
            Kind::Sign
        };
        let text: String = bytes[start..at].iter().collect();
        let lines = text.matches('\n').count();
        found.push(Token { kind, space: std::mem::take(&mut space), text, line });
        line += lines;
        fresh = false;
    }
    (found, space)
}

/// Index of the sign that closes the one at `open`: `)`, `]`, `}` or `>`.
pub(crate) fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let (opens, closes) = match tokens[open].text.as_str() {
        "(" => ("(", ")"),
        "[" => ("[", "]"),
        "{" => ("{", "}"),
        "<" => ("<", ">"),
        _ => return None,
    };
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        // A `<` that less means never closes before its statement ends.
        if opens == "<" && (token.is(";") || token.is("{")) {
            return None;
        }
        if token.is(opens) {
            depth += 1;
        } else if token.is(closes) {
            depth -= 1;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

/// Cuts a list at its outermost commas.
pub(crate) fn split(tokens: &[Token]) -> Vec<&[Token]> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "(" | "[" | "{" | "<" => depth += 1,
            ")" | "]" | "}" | ">" => depth -= 1,
            "," if depth == 0 => {
                parts.push(&tokens[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    if start < tokens.len() {
        parts.push(&tokens[start..]);
    }
    parts
}

/// The text again.
pub(crate) fn joined(tokens: &[Token]) -> String {
    tokens.iter().flat_map(|token| [token.space.as_str(), token.text.as_str()]).collect()
}
