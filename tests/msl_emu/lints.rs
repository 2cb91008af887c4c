//! What a compiler for another language does not find: rules of Metal, and what wgpu cannot bind.

use super::source::{Function, Source, is_scalar, is_vector};
use super::tokens::{Kind, Token, closing, split};
use std::collections::{BTreeMap, BTreeSet};

/// Values that Metal gives to parameters, and where the runtime keeps them.
pub(crate) const BUILTINS: [(&str, &str); 14] = [
    ("thread_position_in_grid", "at"),
    ("threads_per_grid", "all"),
    ("thread_position_in_threadgroup", "t.position"),
    ("thread_index_in_threadgroup", "&t.index"),
    ("threadgroup_position_in_grid", "t.group"),
    ("threads_per_threadgroup", "t.threads"),
    ("dispatch_threads_per_threadgroup", "t.threads"),
    ("threadgroups_per_grid", "t.groups"),
    ("thread_index_in_simdgroup", "&t.lane"),
    ("simdgroup_index_in_threadgroup", "&t.simdgroup"),
    ("simdgroups_per_threadgroup", "&t.simdgroups"),
    ("dispatch_simdgroups_per_threadgroup", "&t.simdgroups"),
    ("threads_per_simdgroup", "&lanes"),
    ("thread_execution_width", "&lanes"),
];

const SPACES: [&str; 4] = ["device", "constant", "threadgroup", "thread"];
/// Most buffers of a kernel.
const SLOTS: u32 = 31;

/// Everything that is wrong, a line each: `line 4: …`.
pub(crate) fn lint(source: &Source, written_by_naga: bool) -> Vec<String> {
    let mut found = Vec::new();
    for kernel in source.kernels() {
        parameters(kernel, written_by_naga, &mut found);
    }
    if source.kernels().next().is_none() {
        found.push("no kernel".to_owned());
    }
    for (line, attribute) in &source.strays {
        found.push(format!("line {line}: attribute `{attribute}`: {}", reason(attribute)));
    }
    for function in &source.functions {
        for parameter in &function.parameters {
            let pointer = parameter.text.contains(['*', '&']);
            let spaced = parameter.text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| SPACES.contains(&w));
            if pointer && !spaced {
                found.push(format!(
                    "line {}: no address space at the pointer or reference `{}`",
                    parameter.line, parameter.text
                ));
            }
        }
        if !function.body.is_empty() {
            body(source, function, &mut found);
        }
    }
    for variable in &source.variables {
        let tokens = &source.tokens[variable.range.clone()];
        if !tokens.iter().any(|token| token.is("constant")) {
            let name = tokens.iter().find(|t| t.kind == Kind::Word).map_or("", |t| t.text.as_str());
            found.push(format!("line {}: a variable at program scope must be `constant` (`{name} …`)", variable.line));
        }
    }
    words(source, &mut found);
    found.extend(recursion(source));
    found
}

fn reason(attribute: &str) -> &'static str {
    match attribute.split('(').next().unwrap_or("") {
        "function_constant" => "wgpu cannot set function constants; write them into the text in front of the source",
        "host_name" => "instantiated templates are not supported; write a kernel that calls the template",
        "threadgroup" => "wgpu binds no threadgroup memory to arguments; declare it in the kernel",
        "texture" | "sampler" => "textures are not supported",
        _ => "unknown here",
    }
}

fn parameters(kernel: &Function, written_by_naga: bool, found: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for parameter in &kernel.parameters {
        let (line, text) = (parameter.line, &parameter.text);
        let here = format!("line {line}: kernel `{}`: `{text}`", kernel.name);
        let Some(attribute) = parameter.attributes.first() else {
            if !(written_by_naga && text.contains("threadgroup") && text.contains('&')) {
                found.push(format!("{here} has no attribute"));
            }
            continue;
        };
        let slot =
            attribute.strip_prefix("buffer(").and_then(|rest| rest.strip_suffix(')')).map(|n| n.trim().parse::<u32>());
        match slot {
            Some(Ok(slot)) if slot < SLOTS => {}
            Some(_) => found.push(format!("{here}: buffers have numbers 0 to {}", SLOTS - 1)),
            None if BUILTINS.iter().any(|(name, _)| name == attribute) => {}
            None => found.push(format!("{here}: attribute `{attribute}`: {}", reason(attribute))),
        }
        if !seen.insert(attribute) {
            found.push(format!("{here}: `{attribute}` is used twice"));
        }
        if parameter.attributes.len() > 1 {
            found.push(format!("{here} has several attributes"));
        }
    }
}

/// Words that no Metal source has.
fn words(source: &Source, found: &mut Vec<String>) {
    const REFUSED: [(&str, &str); 14] = [
        ("goto", "Metal has no goto"),
        ("new", "Metal has no new"),
        ("delete", "Metal has no delete"),
        ("virtual", "Metal has no virtual functions"),
        ("try", "Metal has no exceptions"),
        ("throw", "Metal has no exceptions"),
        ("std", "Metal has no standard library but its own"),
        ("asm", "Metal has no asm"),
        ("dynamic_cast", "Metal has no dynamic_cast"),
        ("typeid", "Metal has no typeid"),
        ("thread_local", "Metal has no thread_local"),
        ("double", "Metal has no double"),
        ("__global", "the word belongs to another language"),
        ("__attribute__", "attributes of one compiler"),
    ];
    for (index, token) in source.tokens.iter().enumerate() {
        if token.kind == Kind::Directive {
            include(token, found);
        }
        if let Some((_, why)) = REFUSED.iter().find(|(word, _)| token.kind == Kind::Word && token.text == *word) {
            found.push(format!("line {}: `{}`: {why}", token.line, token.text));
        }
        if token.is("if") && source.tokens.get(index + 1).is_some_and(|next| next.is("constexpr")) {
            found.push(format!("line {}: `if constexpr` is C++17, Metal 3 is C++14", token.line));
        }
    }
}

fn include(token: &Token, found: &mut Vec<String>) {
    let Some(file) = token.text.trim_start_matches('#').trim().strip_prefix("include") else { return };
    let file = file.trim().trim_matches(['<', '>', '"']);
    if !(file.starts_with("metal_") || file == "simd/simd.h") {
        found.push(format!("line {}: #include of `{file}`: a source for wgpu stands alone", token.line));
    }
}

/// What may not stand in a function.
fn body(source: &Source, function: &Function, found: &mut Vec<String>) {
    let tokens = &source.tokens[function.body.clone()];
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).map(|i| &tokens[i]);
        if token.is("static") {
            found.push(format!("line {}: a static variable in a function", token.line));
        }
        if token.is("(") {
            cast(source, tokens, index, found);
        }
        let starts = before.is_none_or(|t| t.is(";") || t.is("{") || t.is("}") || t.is("("));
        if starts {
            pointer(source, tokens, index, found);
        }
        let expression = before.is_some_and(|t| matches!(t.text.as_str(), "=" | "(" | "," | "{" | "return"));
        if token.is("[")
            && expression
            && closing(tokens, index).is_some_and(|end| tokens.get(end + 1).is_some_and(|t| t.is("(") || t.is("{")))
        {
            found.push(format!("line {}: Metal 3 has no lambdas", token.line));
        }
        if token.is("threadgroup") && starts {
            let statement = tokens[index..].split(|t| t.is(";")).next().unwrap_or(&[]);
            if statement.iter().any(|t| t.is("=")) && !statement.iter().any(|t| t.is("*") || t.is("&")) {
                found.push(format!("line {}: a threadgroup variable has no initial value", token.line));
            }
        }
    }
}

/// `(float4)x` reinterprets here and converts there; `(float*)p` names no address space.
fn cast(source: &Source, tokens: &[Token], open: usize, found: &mut Vec<String>) {
    let Some(end) = closing(tokens, open) else { return };
    let inside = &tokens[open + 1..end];
    let called = open > 0
        && (tokens[open - 1].kind == Kind::Word && !tokens[open - 1].is("return")
            || tokens[open - 1].is(">")
            || tokens[open - 1].is(")")
            || tokens[open - 1].is("]"));
    let operand = tokens.get(end + 1).is_some_and(|next| {
        matches!(next.kind, Kind::Word | Kind::Number) || matches!(next.text.as_str(), "(" | "-" | "&" | "*")
    });
    if called || !operand || inside.is_empty() {
        return;
    }
    let line = tokens[open].line;
    let plain = inside.iter().all(|t| t.kind == Kind::Word || t.is("::"));
    let last = &inside[inside.len() - 1];
    if plain && (is_vector(&last.text) || source.vectors.contains(&last.text)) {
        found.push(format!("line {line}: a C-style cast to a vector: write {}(…)", last.text));
    }
    if last.is("*")
        && inside.iter().all(|t| t.kind == Kind::Word || t.is("::") || t.is("*"))
        && !inside.iter().any(|t| SPACES.contains(&t.text.as_str()))
    {
        found.push(format!("line {line}: a cast to a pointer without address space"));
    }
}

/// `float* p = …` and `float& r = …` at the start of a statement.
fn pointer(source: &Source, tokens: &[Token], start: usize, found: &mut Vec<String>) {
    let mut at = start;
    while tokens.get(at).is_some_and(|t| t.is("const") || t.is("volatile")) {
        at += 1;
    }
    let Some(first) = tokens.get(at).filter(|t| t.kind == Kind::Word) else { return };
    let known = is_scalar(&first.text)
        || is_vector(&first.text)
        || matches!(first.text.as_str(), "auto" | "void" | "metal")
        || source.vectors.contains(&first.text)
        || source.structs.iter().any(|(name, _)| *name == first.text);
    if !known {
        return;
    }
    at += 1;
    while tokens.get(at).is_some_and(|t| t.is("::")) {
        at += 2;
    }
    if tokens.get(at).is_some_and(|t| t.is("const")) {
        at += 1;
    }
    let name = tokens.get(at + 1).is_some_and(|t| t.kind == Kind::Word);
    if tokens.get(at).is_some_and(|t| t.is("*") || t.is("&")) && name {
        found.push(format!(
            "line {}: no address space at the pointer or reference `{}`",
            first.line,
            tokens[at + 1].text
        ));
    }
}

/// Functions that call themselves, directly or not.
fn recursion(source: &Source) -> Option<String> {
    let mut calls: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let names: BTreeSet<&str> = source.functions.iter().map(|f| f.name.as_str()).collect();
    for function in source.functions.iter().filter(|f| !f.body.is_empty()) {
        let body = &source.tokens[function.body.clone()];
        for pair in body.windows(2) {
            if let Some(name) = names.get(pair[0].text.as_str()).filter(|_| pair[1].is("(") || pair[1].is("<")) {
                // An overload with other parameters calls its namesake; only calls of as many arguments can be itself.
                let same = pair[0].text == function.name
                    && source.functions.iter().filter(|f| f.name == function.name).count() > 1;
                if !same {
                    calls.entry(&function.name).or_default().insert(name);
                }
            }
        }
    }
    for start in calls.keys() {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&str> = calls[start].iter().copied().collect();
        while let Some(next) = open.pop() {
            if next == *start {
                return Some(format!("`{start}` calls itself: Metal has no recursion"));
            }
            if reached.insert(next) {
                open.extend(calls.get(next).into_iter().flatten());
            }
        }
    }
    None
}

/// Parts of a declaration `a[4], b`: the names.
pub(crate) fn declared(tokens: &[Token]) -> Vec<String> {
    split(tokens)
        .iter()
        .filter_map(|part| {
            let end = part.iter().position(|t| t.is("[") || t.is("=")).unwrap_or(part.len());
            part[..end].iter().rev().find(|t| t.kind == Kind::Word).map(|t| t.text.clone())
        })
        .collect()
}
