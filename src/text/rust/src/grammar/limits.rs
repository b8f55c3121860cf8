//! What a specification may cost. Clients write them, so every recursion over one is bounded before it begins.
use std::time::Duration;

use llguidance::api::ParserLimits;
use serde_json::Value;

#[derive(Clone, Copy)]
pub struct Limits {
    pub max_depth: usize,
    pub max_compile_time: Duration,
}

/// Those of llguidance, tighter where they bound memory that lasts as long as the grammar.
pub fn parser_limits() -> ParserLimits {
    ParserLimits { max_lexer_states: 50_000, max_grammar_size: 200_000, verbose_errors: false, ..Default::default() }
}

/// How deep objects and arrays are nested.
pub fn json_depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(json_depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(json_depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// A Lark text without its strings, regular expressions and comments.
pub fn lark_code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' | '/' if !rest.starts_with("//") => quoted_len(rest, first),
            '/' | '#' => rest.find('\n').unwrap_or(rest.len()),
            _ => {
                code.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[len..];
    }
    code
}

/// How deep brackets are nested.
pub fn bracket_depth(code: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    for c in code.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Whether a rule has this attribute: `rule[name=...]`.
pub fn has_attribute(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| code[at + name.len()..].trim_start().starts_with('='))
}

/// Of what begins with a quote and goes on to the next one on its line; 1 where there is none.
fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return 1,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    1
}
