//! What must change in a template's source before minijinja reads it.
use super::tags::{self, Kind};

/// The filter that refuses to iterate over what Python cannot iterate over.
pub const CHECK_FILTER: &str = "_iterable";

/// - `{% generation %}`, transformers' tag around what the assistant says, is there to mask training data; its
///   body has a scope of its own, which is what `{% with %}` gives.
/// - `{% for x in none %}` is an error in Python; minijinja takes it for an empty list.
/// - Jinja reads every kind of line end as "\n".
pub fn for_minijinja(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    tags::parts(&source)
        .into_iter()
        .map(|(kind, part)| if kind == Kind::Tag { tag(part) } else { part.to_owned() })
        .collect()
}

fn tag(part: &str) -> String {
    let inside = tags::inside(part);
    match inside.split_whitespace().next() {
        Some("generation") => part.replacen("generation", "with", 1),
        Some("endgeneration") => part.replacen("endgeneration", "endwith", 1),
        Some("for") => {
            checked_loop(inside).map_or_else(|| part.to_owned(), |checked| part.replacen(inside, &checked, 1))
        }
        _ => part.to_owned(),
    }
}

/// `for TARGET in ITEMS [if TEST] [recursive]` with a filter on ITEMS.
fn checked_loop(code: &str) -> Option<String> {
    let items = word_end(code, 0, "in")?;
    let end = word_end(code, items, "if").map(|end| end - "if".len());
    let end =
        end.or_else(|| word_end(code, items, "recursive").map(|end| end - "recursive".len())).unwrap_or(code.len());
    let (head, tail) = (&code[..items], &code[end..]);
    Some(format!("{head} ({})|{CHECK_FILTER} {tail}", code[items..end].trim()))
}

/// Where the first `word` outside brackets and strings ends, from `begin` on.
fn word_end(code: &str, begin: usize, word: &str) -> Option<usize> {
    let mut depth = 0;
    let mut at = begin;
    while at < code.len() {
        let rest = &code[at..];
        let name_len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if name_len > 0 {
            if depth == 0 && &rest[..name_len] == word {
                return Some(at + name_len);
            }
            at += name_len;
            continue;
        }
        match rest.as_bytes()[0] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => (),
        }
        at += tags::step(rest);
    }
    None
}
