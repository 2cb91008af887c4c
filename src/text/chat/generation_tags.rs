//! `{% generation %} … {% endgeneration %}`, which transformers adds to Jinja.
//!
//! The tags mark what the assistant says, for training. minijinja cannot be taught tags, so they become `{% with %}`, which has
//! the same scope and does nothing else.

use std::borrow::Cow;

/// The template with `with` in place of `generation`.
pub(super) fn replace(source: &str) -> Cow<'_, str> {
    if !source.contains("generation") {
        return Cow::Borrowed(source);
    }
    let mut result = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{") {
        let (before, tag) = rest.split_at(at);
        result.push_str(before);
        let length = match tag.as_bytes().get(1) {
            Some(b'#') => tag.find("#}").map_or(tag.len(), |end| end + 2),
            Some(b'{') => code_length(tag, "}}"),
            Some(b'%') => code_length(tag, "%}"),
            _ => 1,
        };
        let (tag, behind) = tag.split_at(length);
        match word(tag) {
            Some("generation") => result.push_str(&tag.replacen("generation", "with", 1)),
            Some("endgeneration") => result.push_str(&tag.replacen("endgeneration", "endwith", 1)),
            _ => result.push_str(tag),
        }
        rest = behind;
        if word(tag) == Some("raw") {
            let end = end_of_raw(rest);
            result.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    result.push_str(rest);
    Cow::Owned(result)
}

/// The word that a tag consists of, if it is a tag of one word.
fn word(tag: &str) -> Option<&str> {
    let inside = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    Some(inside.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim())
}

/// Length of an expression or tag up to the end of `end`, which does not count inside strings.
fn code_length(code: &str, end: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, byte) in code.bytes().enumerate().skip(2) {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if byte == b'\\' => escaped = true,
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            None if code.as_bytes()[at..].starts_with(end.as_bytes()) => return at + end.len(),
            None => {}
        }
    }
    code.len()
}

/// Where `{% endraw %}` stands, or the end.
fn end_of_raw(text: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text[from..].find("{%").map(|at| from + at) {
        let length = text[at..].find("%}").map_or(text.len() - at, |end| end + 2);
        if word(&text[at..at + length]) == Some("endraw") {
            return at;
        }
        from = at + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn tags_of_every_spelling_are_replaced() {
        let source = "{% generation %}a{%- endgeneration -%}{%generation%}b{%+ endgeneration %}";
        assert_eq!(replace(source), "{% with %}a{%- endwith -%}{%with%}b{%+ endwith %}");
    }

    #[test]
    fn only_tags_are_replaced() {
        for same in [
            "{{ '{% generation %}' }} generation",
            "{# {% generation %} #}",
            "{% raw %}{% generation %}{% endraw %}",
            "{% set generation = 1 %}{{ generation }}",
            "{% if x == \"%} {% generation %}\" %}{% endif %}",
            "{% generation",
            "{",
            "{{ 'generation\\' %}",
        ] {
            assert_eq!(replace(same), same);
        }
        assert_eq!(
            replace("{% raw %}x{% endraw %}{% generation %}{ {{ \"\\\"\" }}{% endgeneration %}"),
            "{% raw %}x{% endraw %}{% with %}{ {{ \"\\\"\" }}{% endwith %}"
        );
    }
}
