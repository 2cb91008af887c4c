//! Chat templates are programs of strangers: those that never end, or want all memory there is, are stopped soon.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use ffai::text::{ChatInput, ChatTemplate, Error, Message, SpecialTokens};
use std::path::Path;
use std::time::{Duration, Instant};

fn render(source: &str) -> Result<String, Error> {
    let template = ChatTemplate::new(source, SpecialTokens::default())?;
    template.render(&ChatInput::new(&[Message::new("user", "Hello")]))
}

/// What each grows without end: steps, depth, or text and lists.
const HOSTILE: &[(&str, &str)] = &[
    ("steps", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
    ("steps", "{% for a in range(99999) %}{% for b in range(99999) %}{{ a == b }}{% endfor %}{% endfor %}"),
    (
        "steps",
        "{% macro m() %}{% for a in range(99999) %}{{ m2() }}{% endfor %}{% endmacro %}{% macro m2() %}{% for a in range(99999) %}{% endfor %}{% endmacro %}{{ m() }}",
    ),
    ("depth", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
    ("depth", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}"),
    ("depth", "{% macro m() %}{{ caller }}{% call m() %}{% endcall %}{% endmacro %}{{ m() }}"),
    ("", "{% for a in [1] recursive %}{{ loop([a]) }}{% endfor %}"),
    ("text", "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"),
    (
        "text",
        "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    ),
    (
        "text",
        "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s|length }}",
    ),
    (
        "text",
        "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
    ),
    (
        "text",
        "{% set ns = namespace(s={}) %}{% for i in range(99) %}{% set ns.s = {1: ns.s, 2: ns.s} %}{% endfor %}{{ ns.s|tojson }}",
    ),
    (
        "text",
        "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ ns.s == ns.s }}",
    ),
    ("text", "{% set ns = namespace(s=[1]) %}{% for i in range(99999) %}{% set ns.s = [ns.s] %}{% endfor %}"),
    ("text", "{{ 'x' * 99999999999 }}"),
    ("text", "{{ 99999999999 * [1] }}"),
    ("text", "{{ ('x' * 99999999)|length }}"),
    ("text", "{% set s = 'x' * 9999999 %}{% set t = s.replace('x', s) %}"),
    ("text", "{% set s = 'x' * 9999999 %}{% set t = s|replace('x', s) %}"),
    ("text", "{% set s = 'x' * 9999999 %}{% set t = s|list|join(s) %}"),
    ("text", "{% set s = 'x' * 9999999 %}{% set t = s.join(s) %}"),
    ("text", "{% set s = 'x' * 9999999 %}{% set t = s.split('x') %}"),
    ("text", "{% set t = ('x\\n' * 999999)|indent(99999) %}"),
    ("text", "{% set t = 'x'|indent(99999999999, true) %}"),
    ("text", "{% set t = [[[]]]|tojson(indent='x' * 99999999) %}"),
    ("text", "{% set s = 'x' * 999999 %}{% set t = ('{0}' * 9999).format(s) %}"),
    ("text", "{% set s = 'x' * 999999 %}{% set t = ('%s' * 9999) % ((s,) * 9999) %}"),
    ("text", "{% for i in range(99999) %}{{ 'x' * 9999 }}{% endfor %}"),
    ("text", "{% set t %}{% for i in range(99999) %}{{ 'x' * 9999 }}{% endfor %}{% endset %}"),
    ("text", "{% macro m() %}{% for i in range(99999) %}{{ 'x' * 9999 }}{% endfor %}{% endmacro %}{% set t = m() %}"),
    ("text", "{% macro m(s) %}{{ m(s ~ s) }}{% endmacro %}{{ m('xxxxxxxxxxxxxxxx') }}"),
    ("text", "{% set s = 'x' * 9999999 %}{% for i in range(99999) %}{% set t = s[::-1] %}{% endfor %}"),
    ("text", "{% set s = 'x' * 9999999 %}{% for i in range(99999) %}{% set t = s|upper %}{% endfor %}"),
    ("text", "{% set s = 'x' * 9999999 %}{% for i in range(99999) %}{% set t = s.upper() %}{% endfor %}"),
    ("text", "{% set s = 'x' * 9999999 %}{% for i in range(99999) %}{% set t = 'y' in s %}{% endfor %}"),
    ("text", "{% set s = 'x' * 9999999 %}{% for i in range(99999) %}{% set t = s == s ~ '' %}{% endfor %}"),
    ("text", "{% set s = 'x' * 9999999 %}{% for i in range(99999) %}{% set t = s[9999998] %}{% endfor %}"),
    ("text", "{% for i in range(99999) %}{% set t = range(99999)|map('string')|list %}{% endfor %}"),
    ("text", "{% for i in range(99999) %}{% set t = range(99999)|sum %}{% endfor %}"),
    ("text", "{% for i in range(99999) %}{% set t = 99999 in range(99999) %}{% endfor %}"),
    ("text", "{% set t = ['x']|batch(99999999999, 'y')|list %}{% for i in t %}{{ i }}{% endfor %}"),
    ("text", "{% set t = [1]|slice(99999999999)|list %}{{ t }}"),
    ("text", "{% set ns = namespace() %}{% set ns.own = ns %}{{ ns }}"),
    ("text", "{% set ns = namespace() %}{% set ns.own = ns %}{{ ns == ns }}"),
    ("text", "{% set ns = namespace() %}{% set ns.own = [ns] %}{{ ns }}"),
    ("", "{{ strftime_now('%99999999999Y') }}"),
    ("text", "{% for i in range(9999) %}{{ strftime_now('%A' * 9999) }}{% endfor %}"),
    ("text", "{{ ('{:>9999}' * 99999).format(1) }}"),
    ("text", "{{ ('%9999s' * 99999) % ((1,) * 99999) }}"),
    ("text", "{% set t = range(99999)|list|tojson(indent=1000) %}"),
    ("", "{% if undefined_thing.attribute %}{% endif %}"),
    ("", "{{ 2 ** 99999999 }}"),
    ("", "{{ range(99999999999)|list }}"),
    ("", "{{ nothing() }}"),
    ("", "{% include 'x' %}"),
    ("", "{{ 1 // 0 }}{{ 1 % 0 }}"),
    ("", "{{ '%99999999999d' % 1 }}"),
    ("", "{{ '{:99999999999}'.format(1) }}"),
    ("", "{{ '%*d' % (99999999999, 1) }}"),
];

#[test]
fn templates_without_end_are_stopped_soon() {
    let mut failures = Vec::new();
    for (what, source) in HOSTILE {
        let begun = Instant::now();
        let ended = render(source).map(|text| text.len());
        let took = begun.elapsed();
        let (limit, message) = match &ended {
            Ok(length) => (false, format!("came to an end with {length} bytes")),
            Err(error) => (matches!(error, Error::TemplateLimit { .. }), error.to_string()),
        };
        let fine = ended.is_err()
            && if what.is_empty() { message.contains("chat template") } else { limit && message.contains(what) };
        // Some tenths of a second; the machine may be busy.
        if !fine || took > Duration::from_secs(10) {
            failures.push(format!("{source}\n    {message} ({took:?})"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    if let Some(peak) = peak_megabytes() {
        assert!(peak < 512, "{peak} MB at most");
    }
}

/// The most memory that this process ever had, where the system tells.
fn peak_megabytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024)
}

/// The parser, and what follows it, see chains and nests of any length.
#[test]
fn templates_that_are_deep_are_refused() {
    let nests: &[(&str, &str, &str)] = &[
        ("{{ ", "(", ""),
        ("{{ ", "[", ""),
        ("{{ 1 ", "+1", " }}"),
        ("{{ 'a'", "~'a'", " }}"),
        ("{{ a", ".a", " }}"),
        ("{{ a", "[0]", " }}"),
        ("{{ a", "()", " }}"),
        ("{{ a", "|upper", " }}"),
        ("{{ ", "not ", "a }}"),
        ("{{ ", "-", "1 }}"),
        ("{{ a ", "if a else a ", " }}"),
        ("{{ a ", "and a ", " }}"),
        ("{{ 1 ", "< 1 ", " }}"),
        ("{{ a ", "is defined ", " }}"),
        ("", "{% if a %}", ""),
        ("{% if a %}", "{% elif a %}", "{% endif %}"),
        ("", "{% for a in b %}", ""),
        ("", "{% macro m() %}", ""),
        ("", "{% generation %}", ""),
        ("{% set a", ",a", " = 1 %}"),
    ];
    for (before, nest, behind) in nests {
        for count in [2_000, 250_000 / nest.len()] {
            let source = format!("{before}{}{behind}", nest.repeat(count));
            let begun = Instant::now();
            // Whether it is deep for us or flat: it must not end the program.
            let ended = render(&source).map(|text| text.len());
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(10), "{before}{nest}… took {took:?}: {ended:?}");
        }
    }
    let long = "x".repeat(300 << 10);
    assert!(matches!(render(&long), Err(Error::TemplateSize { .. })));
}

#[test]
fn what_a_template_says_is_fit_for_a_terminal() {
    let error = render("{{ raise_exception('\\x1b[2J' ~ 'no\\n' * 1000) }}").unwrap_err();
    let Error::TemplateRefused { message } = &error else { panic!("{error}") };
    assert!(message.starts_with("\u{1b}[2Jno\n"));
    let shown = error.to_string();
    assert!(shown.starts_with("the chat template refuses this conversation: \\u{1b}[2Jno\\n"), "{shown}");
    assert!(shown.len() < 1000 && error.hint().is_some());
}

#[test]
fn errors_name_the_line() {
    let line = |source: &str| render(source).unwrap_err().to_string();
    assert!(line("a\nb\n{% if %}").starts_with("chat template, line 3: syntax error"), "{}", line("a\nb\n{% if %}"));
    let inside = "{% macro m() %}\n\n{{ a.b.c }}{% endmacro %}\n{{ m() }}";
    assert!(line(inside).starts_with("chat template, line 3: undefined value"), "{}", line(inside));
}

/// Pieces of real templates, cut and spliced: whatever comes of it, it ends, and nothing panics.
#[test]
fn spliced_templates_end() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "jinja"));
    paths.sort();
    let sources: Vec<Vec<char>> =
        paths.iter().map(|path| std::fs::read_to_string(path).unwrap().chars().collect()).collect();
    let mut rng = ffai::graph::Rng(7);
    let mut below = |count: usize| rng.below(count as u32) as usize;
    let mut ended_well = 0;
    for _ in 0..1500 {
        let mut text = sources[below(sources.len())].clone();
        for _ in 0..1 + below(3) {
            let other = &sources[below(sources.len())];
            let from = below(other.len());
            let piece = &other[from..(from + below(60)).min(other.len())];
            let at = below(text.len());
            let end = (at + below(30)).min(text.len());
            text.splice(at..end, piece.iter().copied());
        }
        let begun = Instant::now();
        let ended = render(&text.iter().collect::<String>());
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", text.iter().collect::<String>());
        if let Err(error) = &ended {
            assert!(!error.to_string().contains("gave up"), "{}", text.iter().collect::<String>());
        }
        ended_well += usize::from(ended.is_ok());
    }
    assert!(ended_well > 100, "{ended_well} of 1500: the splices go too far to reach anything");
}
