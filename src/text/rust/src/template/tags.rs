//! A template's source cut into its parts, as Jinja's lexer cuts it.

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,       // and comments, and what stands in {% raw %}
    Expression, // {{ }}
    Tag,        // {% %}
}

/// The parts in order, delimiters included; joined they are the source.
pub fn parts(source: &str) -> Vec<(Kind, &str)> {
    let mut parts = Vec::new();
    let mut rest = source;
    while let Some(begin) = ["{{", "{%", "{#"].iter().filter_map(|opening| rest.find(opening)).min() {
        parts.push((Kind::Text, &rest[..begin]));
        let (kind, len) = match &rest[begin..begin + 2] {
            "{#" => (Kind::Text, rest[begin..].find("#}").map_or(rest.len() - begin, |at| at + 2)),
            "{{" => (Kind::Expression, len_to(&rest[begin..], "}}")),
            _ => (Kind::Tag, len_to(&rest[begin..], "%}")),
        };
        let part = &rest[begin..begin + len];
        parts.push((kind, part));
        rest = &rest[begin + len..];
        if kind == Kind::Tag && inside(part) == "raw" {
            let raw_len = raw_len(rest);
            parts.push((Kind::Text, &rest[..raw_len]));
            rest = &rest[raw_len..];
        }
    }
    parts.push((Kind::Text, rest));
    parts
}

/// A tag without its delimiters and the signs that trim white space.
pub fn inside(tag: &str) -> &str {
    let is_sign = |c: char| c == '-' || c == '+';
    let tag = tag.strip_prefix("{%").unwrap_or(tag);
    let tag = tag.strip_suffix("%}").unwrap_or(tag);
    tag.trim_start_matches(is_sign).trim_end_matches(is_sign).trim()
}

/// Bytes up to the end of `closing`, which does not count inside a string.
fn len_to(part: &str, closing: &str) -> usize {
    let mut at = 2;
    while at < part.len() && !part[at..].starts_with(closing) {
        at += step(&part[at..]);
    }
    (at + closing.len()).min(part.len())
}

/// Bytes of the string literal that `code` begins with, or else of its first character.
pub fn step(code: &str) -> usize {
    let mut chars = code.char_indices();
    let Some((_, first)) = chars.next() else { return 0 };
    if first != '\'' && first != '"' {
        return first.len_utf8();
    }
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == first {
            return at + 1;
        }
    }
    code.len()
}

fn raw_len(rest: &str) -> usize {
    let mut at = 0;
    while let Some(begin) = rest[at..].find("{%") {
        let tag = &rest[at + begin..];
        if inside(&tag[..len_to(tag, "%}")]) == "endraw" {
            return at + begin;
        }
        at += begin + 2;
    }
    rest.len()
}
