//! The declarations of a Metal source: functions, kernels with their parameters, variables at program scope.

use super::tokens::{Kind, Token, closing, joined, split, tokens};
use std::ops::Range;

/// A source cut into its declarations.
#[derive(Debug)]
pub(crate) struct Source {
    /// Without attributes: those are in [`Parameter`] and [`Function`].
    pub(crate) tokens: Vec<Token>,
    pub(crate) tail: String,
    pub(crate) functions: Vec<Function>,
    pub(crate) variables: Vec<Variable>,
    /// Bodies of structs, braces included, and their names.
    pub(crate) structs: Vec<(String, Range<usize>)>,
    /// Names that stand for a vector type.
    pub(crate) vectors: Vec<String>,
    /// Attributes that stand neither at a parameter nor at a kernel, and those of functions that are none.
    pub(crate) strays: Vec<(usize, String)>,
}

/// A function at program scope; ranges are of tokens.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) kernel: bool,
    /// Where its declaration begins, behind `template <…>`.
    pub(crate) start: usize,
    pub(crate) max_threads: u32,
    /// Type parameters of its template.
    pub(crate) types: Vec<String>,
    pub(crate) parameters: Vec<Parameter>,
    /// Braces included; empty for a declaration without a body.
    pub(crate) body: Range<usize>,
}

/// A parameter with its attribute: `buffer(0)`, `thread_position_in_grid`.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) text: String,
    pub(crate) name: String,
    pub(crate) attributes: Vec<String>,
    pub(crate) line: usize,
}

/// A variable at program scope.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) line: usize,
    /// The whole statement, semicolon included.
    pub(crate) range: Range<usize>,
}

const ELEMENTS: [&str; 12] =
    ["float", "half", "bfloat", "int", "uint", "short", "ushort", "char", "uchar", "long", "ulong", "bool"];

/// Whether a word names a vector type of Metal: `half4`.
pub(crate) fn is_vector(word: &str) -> bool {
    word.strip_suffix(['2', '3', '4']).is_some_and(|element| ELEMENTS.contains(&element))
}

/// Whether a word names a number type of Metal.
pub(crate) fn is_scalar(word: &str) -> bool {
    ELEMENTS.contains(&word)
        || matches!(word, "size_t" | "uint32_t" | "int32_t" | "uint16_t" | "int16_t" | "uint8_t" | "int8_t")
}

/// Takes attributes out: the tokens without them, and each with the index of the token it stood in front of.
fn without_attributes(all: Vec<Token>) -> (Vec<Token>, Vec<(usize, String)>) {
    let mut kept: Vec<Token> = Vec::with_capacity(all.len());
    let mut attributes = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let opens = all[at].is("[") && all.get(at + 1).is_some_and(|next| next.is("[") && next.space.is_empty());
        match closing(&all, at).filter(|_| opens) {
            Some(end) => {
                let inside = joined(&all[at + 2..end - 1]);
                attributes
                    .extend(split(&tokens(&inside).0).iter().map(|one| (kept.len(), joined(one).trim().to_owned())));
                let space: String = all[at..=end].iter().map(|token| token.space.as_str()).collect();
                at = end + 1;
                // Its lines go to the token behind it.
                if let Some(next) = all.get(at) {
                    let mut next = next.clone();
                    next.space = format!("{space}{}", next.space);
                    if next.space.is_empty() {
                        next.space.push(' ');
                    }
                    if next.is("[") && all.get(at + 1).is_some_and(|second| second.is("[")) {
                        continue;
                    }
                    kept.push(next);
                    at += 1;
                }
            }
            None => {
                kept.push(all[at].clone());
                at += 1;
            }
        }
    }
    (kept, attributes)
}

impl Source {
    /// Reads a source. Errors name a line.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let (all, tail) = tokens(text);
        let (tokens, attributes) = without_attributes(all);
        let mut source = Self {
            tokens,
            tail,
            functions: Vec::new(),
            variables: Vec::new(),
            structs: Vec::new(),
            vectors: Vec::new(),
            strays: Vec::new(),
        };
        let mut at = 0;
        while at < source.tokens.len() {
            at = source.item(at, &attributes)?;
        }
        source.strays(&attributes);
        Ok(source)
    }

    /// Reads the declaration that begins at `start`; the index behind it.
    fn item(&mut self, start: usize, attributes: &[(usize, String)]) -> Result<usize, String> {
        let first = &self.tokens[start];
        if first.kind == Kind::Directive || first.is(";") || first.is("}") {
            return Ok(start + 1);
        }
        let unclosed = |line: usize| format!("line {line}: a parenthesis or brace is never closed");
        let (mut list, mut body) = (None, None);
        let mut assigned = false;
        let mut at = start;
        while at < self.tokens.len() && !self.tokens[at].is(";") {
            let token = &self.tokens[at];
            let line = token.line;
            if token.is("namespace") || token.is("extern") {
                // What it holds is at program scope as well.
                if let Some(open) = (at..(at + 4).min(self.tokens.len())).find(|&i| self.tokens[i].is("{")) {
                    return Ok(open + 1);
                }
            }
            assigned |= token.is("=");
            match token.text.as_str() {
                "<" if at > 0 && self.tokens[at - 1].is("template") => {
                    at = closing(&self.tokens, at).ok_or_else(|| unclosed(line))?;
                }
                "(" if list.is_none() && !assigned => {
                    let end = closing(&self.tokens, at).ok_or_else(|| unclosed(line))?;
                    list = Some(at..end);
                    at = end;
                }
                "(" | "[" => at = closing(&self.tokens, at).ok_or_else(|| unclosed(line))?,
                "{" => {
                    let end = closing(&self.tokens, at).ok_or_else(|| unclosed(line))?;
                    body = Some(at..end + 1);
                    at = end;
                    if list.is_some() && !assigned {
                        break;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        let end = (at + 1).min(self.tokens.len());
        let words: Vec<String> =
            self.tokens[start..end].iter().take_while(|t| !t.is("{") && !t.is("=")).map(|t| t.text.clone()).collect();
        let has = |word: &str| words.iter().any(|w| w == word);
        if has("using") || has("typedef") {
            self.alias(start..end);
        } else if let (Some(body), true) = (&body, has("struct") || has("class") || has("union") || has("enum")) {
            let name = words.iter().position(|w| matches!(w.as_str(), "struct" | "class" | "union" | "enum"));
            let name = name.and_then(|i| words.get(i + 1)).cloned().unwrap_or_default();
            self.structs.push((name, body.clone()));
        } else if let (Some(list), false) = (list, assigned) {
            self.function(start, list, body.unwrap_or(0..0), attributes);
        } else if !has("static_assert") && self.tokens[start..end].iter().any(|t| t.kind == Kind::Word) {
            self.variables.push(Variable { line: self.tokens[start].line, range: start..end });
        }
        Ok(end)
    }

    fn function(&mut self, start: usize, list: Range<usize>, body: Range<usize>, attributes: &[(usize, String)]) {
        let head = &self.tokens[start..list.start];
        let Some(name) = head.last().filter(|token| token.kind == Kind::Word) else { return };
        let mut types = Vec::new();
        for (index, token) in head.iter().enumerate() {
            if (token.is("typename") || token.is("class")) && head.get(index + 1).is_some_and(|t| t.kind == Kind::Word)
            {
                types.push(head[index + 1].text.clone());
            }
        }
        let template = self.tokens[start].is("template") && self.tokens[start + 1].is("<");
        let first = if template { closing(&self.tokens, start + 1).map_or(start, |end| end + 1) } else { start };
        let of = |range: Range<usize>| {
            attributes.iter().filter(move |(at, _)| range.contains(at)).map(|(_, text)| text.clone())
        };
        let own: Vec<String> = of(start..list.start).collect();
        let max_threads = own.iter().find_map(|text| {
            text.strip_prefix("max_total_threads_per_threadgroup(")?.strip_suffix(')')?.trim().parse().ok()
        });
        let mut parameters = Vec::new();
        let mut at = list.start + 1;
        for part in split(&self.tokens[list.start + 1..list.end]) {
            // An attribute stands in front of the comma or parenthesis that ends its parameter.
            let range = at + 1..at + part.len() + 1;
            at += part.len() + 1;
            let name =
                part.iter().rev().find(|token| token.kind == Kind::Word).map_or(String::new(), |t| t.text.clone());
            if !part.is_empty() && !part.iter().all(|token| token.is("void")) {
                let text = joined(part).split_whitespace().collect::<Vec<_>>().join(" ");
                parameters.push(Parameter { text, name, attributes: of(range).collect(), line: part[0].line });
            }
        }
        self.functions.push(Function {
            name: name.text.clone(),
            kernel: head.iter().any(|token| token.is("kernel")) || own.iter().any(|text| text == "kernel"),
            start: first,
            max_threads: max_threads.unwrap_or(0),
            types,
            parameters,
            body,
        });
    }

    /// `typedef metal::uint4 Quants;` and `using Quants = uint4;`.
    fn alias(&mut self, range: Range<usize>) {
        let words: Vec<&str> = self.tokens[range]
            .iter()
            .filter(|t| t.kind == Kind::Word || t.is("[") || t.is("="))
            .map(|t| t.text.as_str())
            .collect();
        let (name, meaning) = match words.as_slice() {
            ["using", name, "=", meaning @ ..] => (*name, meaning),
            ["typedef", meaning @ .., name] => (*name, meaning),
            _ => return,
        };
        if meaning.last().is_some_and(|word| is_vector(word) || self.vectors.iter().any(|known| known == word)) {
            self.vectors.push(name.to_owned());
        }
    }

    fn strays(&mut self, attributes: &[(usize, String)]) {
        for (at, text) in attributes {
            let name = text.split('(').next().unwrap_or("");
            let expected =
                matches!(name, "kernel" | "max_total_threads_per_threadgroup" | "unroll" | "likely" | "unlikely");
            let taken = self.functions.iter().any(|f| f.parameters.iter().any(|p| p.attributes.contains(text)));
            if !expected && !taken {
                let line = self.tokens.get(*at).map_or(0, |token| token.line);
                self.strays.push((line, text.clone()));
            }
        }
    }

    /// The kernels, in order.
    pub(crate) fn kernels(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| function.kernel)
    }
}
