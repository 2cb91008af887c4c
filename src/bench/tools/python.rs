//! Calls as Python writes them: `f(a=1, b=["x"])`, alone, one to a line, or in a list.

use super::extract::Call;
use serde_json::{Map, Number, Value};

/// Deeper than any argument is.
const DEEPEST: usize = 32;

/// All of a text as calls with named arguments; `None` where it is something else.
pub(super) fn calls(text: &str) -> Option<Vec<Call>> {
    let mut reader = Reader { rest: text.trim() };
    let listed = reader.take("[");
    let mut calls = vec![reader.call()?];
    loop {
        // Between lines nothing need stand.
        while reader.take(",") || reader.take(";") {}
        if listed && reader.take("]") {
            break;
        }
        if !listed && reader.rest.is_empty() {
            break;
        }
        calls.push(reader.call()?);
    }
    reader.rest.is_empty().then_some(calls)
}

struct Reader<'t> {
    /// What is left, without spaces in front.
    rest: &'t str,
}

impl<'t> Reader<'t> {
    /// Takes a mark and the spaces behind it: whether it was there.
    fn take(&mut self, mark: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(mark) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn name(&mut self) -> Option<&'t str> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return None;
        }
        self.rest = rest.trim_start();
        Some(name)
    }

    fn call(&mut self) -> Option<Call> {
        let name = self.name()?;
        // Gemma was taught to print what a call gives, and to find tools in a module of this name.
        let name = name.strip_prefix("default_api.").unwrap_or(name).to_owned();
        if !self.take("(") {
            return None;
        }
        if name == "print" && !self.rest.starts_with("print") {
            let call = self.call()?;
            return self.take(")").then_some(call);
        }
        let mut arguments = Map::new();
        while !self.take(")") {
            let argument = self.name()?.to_owned();
            if !self.take("=") {
                return None;
            }
            arguments.insert(argument, self.value(0)?);
            if !self.take(",") && !self.rest.starts_with(')') {
                return None;
            }
        }
        Some(Call { name, arguments })
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth == DEEPEST {
            return None;
        }
        match self.rest.chars().next()? {
            quote @ ('"' | '\'') => self.string(quote).map(Value::String),
            '[' => self.list("[", "]", depth),
            '(' => self.list("(", ")", depth),
            '{' => self.dictionary(depth),
            c if c.is_alphabetic() => match self.name()? {
                "True" | "true" => Some(Value::Bool(true)),
                "False" | "false" => Some(Value::Bool(false)),
                "None" | "null" => Some(Value::Null),
                _ => None,
            },
            _ => self.number(),
        }
    }

    fn string(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        loop {
            match characters.next()? {
                (at, c) if c == quote => {
                    self.rest = self.rest[at + c.len_utf8()..].trim_start();
                    return Some(text);
                }
                (_, '\\') => match characters.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    c @ ('\\' | '\'' | '"') => text.push(c),
                    // Python keeps a backslash that it knows nothing of.
                    c => text.extend(['\\', c]),
                },
                (_, c) => text.push(c),
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E' | '_');
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let text = self.rest[..end].replace('_', "");
        self.rest = self.rest[end..].trim_start();
        let whole = text.parse::<i64>().ok().map(Number::from);
        whole.or_else(|| Number::from_f64(text.parse().ok()?)).map(Value::Number)
    }

    fn list(&mut self, open: &str, close: &str, depth: usize) -> Option<Value> {
        let mut values = Vec::new();
        self.take(open);
        while !self.take(close) {
            values.push(self.value(depth + 1)?);
            if !self.take(",") && !self.rest.starts_with(close) {
                return None;
            }
        }
        Some(Value::Array(values))
    }

    fn dictionary(&mut self, depth: usize) -> Option<Value> {
        let mut fields = Map::new();
        self.take("{");
        while !self.take("}") {
            let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let key = self.string(quote)?;
            if !self.take(":") {
                return None;
            }
            fields.insert(key, self.value(depth + 1)?);
            if !self.take(",") && !self.rest.starts_with('}') {
                return None;
            }
        }
        Some(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_are_read_as_python_reads_them() {
        let text =
            r#"a.f(s='it\'s', t="a\"b\n", n=-3, x=1.5e3, y=None, b=True, l=[1, (2,), []], d={'k': {"m": False}},)"#;
        let [Call { name, arguments }] = <[Call; 1]>::try_from(calls(text).unwrap()).unwrap();
        let expected = json!({"s": "it's", "t": "a\"b\n", "n": -3, "x": 1500.0, "y": null, "b": true,
            "l": [1, [2], []], "d": {"k": {"m": false}}});
        assert_eq!((name.as_str(), Value::Object(arguments)), ("a.f", expected));
        assert_eq!(calls("f()").unwrap().len(), 1);
        assert_eq!(calls("print(default_api.f(a=1))\nprint(g())"), calls("f(a=1)\ng()"));
        assert!(calls(&"print(".repeat(100_000)).is_none());
    }

    #[test]
    fn what_is_no_call_with_named_arguments_is_refused() {
        for text in
            ["", "f", "f(1)", "f(a=1", "f(a=b)", "f(a=1 b=2)", "f(a='x)", "1f()", "[f()", "f() and more", "f(a=--1)"]
        {
            assert!(calls(text).is_none(), "{text}");
        }
    }
}
