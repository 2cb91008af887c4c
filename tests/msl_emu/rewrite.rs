//! Metal source to what clang reads: C++14 for this machine, or C++ for OpenCL to be checked.

use super::lints::{BUILTINS, declared};
use super::source::{Function, Source, is_scalar, is_vector};
use super::tokens::{Kind, Token, closing, joined};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the result is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    Check,
    Run,
}

/// Keywords of C++ for OpenCL that are plain names in Metal.
const OTHERS: [&str; 8] = ["local", "global", "generic", "pipe", "read_only", "write_only", "read_write", "vec_step"];

/// The source for clang; lines keep their numbers and the file its name.
pub(crate) fn rewrite(name: &str, source: &Source, aim: Aim) -> String {
    let mut tokens = source.tokens.clone();
    let mut appended = BTreeMap::new();
    conversions(source, &mut tokens);
    match aim {
        Aim::Check => {
            for token in tokens.iter_mut().filter(|token| OTHERS.contains(&token.text.as_str())) {
                token.text.insert_str(0, "msl_word_");
            }
            constants(source, &mut tokens);
            methods(source, &mut tokens);
        }
        Aim::Run => {
            // What is not called outside costs no code of its own.
            for function in &source.functions {
                let head = &source.tokens[function.start..];
                if !head.iter().take_while(|t| !t.is("(")).any(|t| t.is("static")) {
                    tokens[function.start].text.insert_str(0, "static ");
                }
            }
            shared(source, &mut tokens, &mut appended);
        }
    }
    let mut text = format!("#include <metal_stdlib>\n#line 1 \"{name}\"\n");
    for (index, token) in tokens.iter().enumerate() {
        text.push_str(&token.space);
        text.push_str(&token.text);
        if let Some(more) = appended.get(&index) {
            text.push_str(more);
        }
    }
    text.push_str(&source.tail);
    if aim == Aim::Run {
        text.push_str("\n#line 1 \"entry points\"\n");
        entries(source, &mut text);
    }
    text
}

/// Conversions that clang lacks: constructors of vectors, by any name that a vector type has.
fn conversions(source: &Source, tokens: &mut [Token]) {
    let called = |tokens: &[Token], at: usize| tokens.get(at).is_some_and(|next| next.is("("));
    for at in 0..tokens.len() {
        let word = tokens[at].text.clone();
        if tokens[at].kind != Kind::Word {
            continue;
        }
        if word == "vec"
            && tokens.get(at + 1).is_some_and(|next| next.is("<"))
            && let Some(end) = closing(tokens, at + 1).filter(|&end| called(tokens, end + 1))
        {
            tokens[at].text = "msl_make<vec".to_owned();
            tokens[end].text = ">>".to_owned();
        } else if word == "static_cast"
            && let Some(end) = closing(tokens, at + 1)
            && is_vector_name(source, &tokens[end - 1].text)
        {
            tokens[at].text = "msl_make".to_owned();
        } else if source.vectors.contains(&word) && called(tokens, at + 1) {
            tokens[at].text = format!("msl_make<{word}>");
        }
    }
    for function in source.functions.iter().filter(|function| !function.types.is_empty()) {
        for at in function.body.clone() {
            if function.types.contains(&tokens[at].text) && called(tokens, at + 1) {
                tokens[at].text = format!("msl_construct<{}>", tokens[at].text);
            }
        }
    }
}

fn is_vector_name(source: &Source, word: &str) -> bool {
    is_vector(word) || source.vectors.iter().any(|known| known == word)
}

/// Program-scope constants. C++ for OpenCL keeps them in a space of their own, from which no pointer leads to the `constant` of
/// parameters; so tables are reached through a function that yields them where Metal has them.
fn constants(source: &Source, tokens: &mut [Token]) {
    let mut tables = Vec::new();
    for variable in &source.variables {
        let range = variable.range.clone();
        let statement = &tokens[range.clone()];
        let assigned = statement.iter().position(|t| t.is("=") || t.is("{") || t.is(";")).unwrap_or(statement.len());
        let head = &statement[..assigned];
        let array = head.iter().position(|t| t.is("["));
        let scalar = head.iter().filter(|t| t.kind == Kind::Word).rev().nth(1).is_some_and(|t| is_scalar(&t.text));
        if scalar && array.is_none() {
            for token in &mut tokens[range] {
                match token.text.as_str() {
                    "constant" => token.text = "__constant".to_owned(),
                    "static" => token.text.clear(),
                    _ => {}
                }
            }
            continue;
        }
        let Some(name_at) = head[..array.unwrap_or(head.len())].iter().rposition(|t| t.kind == Kind::Word) else {
            continue;
        };
        let name = head[name_at].text.clone();
        let word = |t: &&Token| !matches!(t.text.as_str(), "constant" | "constexpr" | "const" | "static");
        let kind: Vec<Token> = head[..name_at].iter().filter(word).cloned().collect();
        let (kind, dimensions) = (joined(&kind), joined(&head[name_at + 1..]));
        let space = "const __attribute__((opencl_global_host))";
        let shown = if dimensions.replace(' ', "").starts_with("[]") {
            format!("{space} {kind}* msl_table_{name}();")
        } else {
            format!("typedef {kind} msl_type_{name}{dimensions}; {space} msl_type_{name}& msl_table_{name}();")
        };
        let initial = joined(&statement[assigned..]);
        let lines: String = joined(statement).chars().filter(|&c| c == '\n').collect();
        let initial: String = initial.replace('\n', " ");
        let text = format!("{shown} inline void msl_check_{name}() {{ const {kind} x{dimensions}{initial} (void)x; }}");
        let text = text.replace('\n', " ");
        for token in &mut tokens[range.clone()] {
            token.space.clear();
            token.text.clear();
        }
        tokens[range.start].text = text;
        tokens[range.start].space = lines;
        tables.push((range.end, name));
    }
    for (from, name) in tables {
        for token in &mut tokens[from..] {
            if token.kind == Kind::Word && token.text == name {
                token.text = format!("msl_table_{name}()");
            }
        }
    }
}

/// A member function without an address space works on a thread's own objects only, and so it is to be here.
fn methods(source: &Source, tokens: &mut [Token]) {
    for (name, body) in &source.structs {
        let mut at = body.start + 1;
        while at + 1 < body.end {
            if tokens[at].is("{") {
                at = closing(tokens, at).unwrap_or(at) + 1;
                continue;
            }
            if tokens[at].is("(")
                && let Some(mut end) = closing(tokens, at)
            {
                let constructor = tokens[at - 1].text == *name;
                if tokens.get(end + 1).is_some_and(|t| t.is("const")) {
                    end += 1;
                }
                if let Some(space) = tokens.get_mut(end + 1) {
                    match space.text.as_str() {
                        "thread" => space.text = "__private".to_owned(),
                        "threadgroup" => space.text = "__local".to_owned(),
                        _ => {}
                    }
                }
                if constructor {
                    // Its initializers look like member functions.
                    end = (end..body.end).find(|&i| tokens[i].is("{") || tokens[i].is(";")).unwrap_or(end + 1) - 1;
                } else if tokens.get(end + 1).is_some_and(|t| t.is("{")) {
                    tokens[end].text.push_str(" __private");
                }
                at = end;
            }
            at += 1;
        }
    }
}

/// Threadgroup variables are one for all threads, and known to the runtime.
fn shared(source: &Source, tokens: &mut [Token], appended: &mut BTreeMap<usize, String>) {
    for function in source.functions.iter().filter(|function| !function.body.is_empty()) {
        let mut at = function.body.start;
        while at < function.body.end {
            let starts = tokens[at - 1].is(";") || tokens[at - 1].is("{") || tokens[at - 1].is("}");
            if !tokens[at].is("threadgroup") || !starts && at != function.body.start + 1 {
                at += 1;
                continue;
            }
            let Some(end) = (at..function.body.end).find(|&i| tokens[i].is(";")) else { break };
            let statement = &tokens[at..end];
            if !statement.iter().any(|t| t.is("*") && !in_brackets(statement, t) || t.is("&") || t.is("=")) {
                let mut text = String::new();
                for name in declared(statement) {
                    let _ = write!(text, " msl_threadgroup_variable((void*)&{name}, sizeof({name}), \"{name}\");");
                }
                tokens[at].text = "static threadgroup".to_owned();
                appended.insert(end, text);
            }
            at = end;
        }
    }
}

/// Whether a sign stands inside `[…]`: the size of an array may be a product.
fn in_brackets(statement: &[Token], sign: &Token) -> bool {
    let mut depth = 0;
    for token in statement {
        depth += i32::from(token.is("[")) - i32::from(token.is("]"));
        if std::ptr::eq(token, sign) {
            return depth > 0;
        }
    }
    false
}

/// One function per kernel that gives it its parameters, and the table by which the runtime finds them.
fn entries(source: &Source, text: &mut String) {
    let mut rows = String::new();
    let mut count = 0;
    for kernel in source.kernels() {
        let name = &kernel.name;
        let buffers = entry(kernel, text);
        let _ = write!(rows, "{{\"{name}\", msl_run_{name}, {}, msl_buffers_{name}, {buffers}}}, ", kernel.max_threads);
        count += 1;
    }
    let _ = write!(
        text,
        "static const msl_kernel msl_kernels[] = {{{rows}}};\n\
         extern \"C\" __attribute__((visibility(\"default\"))) const msl_module msl_the_module;\n\
         const msl_module msl_the_module = {{msl_kernels, {count}}};\n"
    );
}

fn entry(kernel: &Function, text: &mut String) -> usize {
    let name = &kernel.name;
    let (mut arguments, mut before, mut buffers) = (Vec::new(), String::new(), Vec::new());
    for (index, parameter) in kernel.parameters.iter().enumerate() {
        let kind = format!("msl_parameter_type<decltype(&{name}), {index}>::type");
        let attribute = parameter.attributes.first().map_or("", String::as_str);
        let slot = attribute.strip_prefix("buffer(").and_then(|rest| rest.strip_suffix(')'));
        if let Some(slot) = slot {
            arguments.push(format!("msl_bound<{kind}>::get(a, {slot})"));
            buffers.push(format!("{{{slot}, \"{}\", msl_bound<{kind}>::least}}", parameter.name));
        } else if let Some((_, value)) = BUILTINS.iter().find(|(known, _)| *known == attribute) {
            arguments.push(format!("msl_builtin<{kind}>::get({value})"));
        } else {
            let _ = write!(
                before,
                "typedef msl_referred<{kind}>::type shared{index}; alignas(16) static unsigned char memory{index}[sizeof(shared{index})]; \
                 msl_threadgroup_variable(memory{index}, sizeof(memory{index}), \"{}\"); ",
                parameter.name
            );
            arguments.push(format!("*(shared{index}*)memory{index}"));
        }
    }
    let _ = write!(
        text,
        "static void msl_run_{name}(const msl_arguments* a) {{ const msl_thread& t = *msl_current; const unsigned lanes = 32; \
         unsigned at[3], all[3]; for (int i = 0; i < 3; i++) {{ at[i] = t.group[i] * t.threads[i] + t.position[i]; \
         all[i] = t.groups[i] * t.threads[i]; }} (void)a; (void)lanes; (void)at; (void)all; {before}{name}({}); }}\n\
         static const msl_parameter msl_buffers_{name}[] = {{{}{{0, 0, 0}}}};\n",
        arguments.join(", "),
        buffers.iter().map(|row| format!("{row}, ")).collect::<String>(),
    );
    buffers.len()
}
