//! The string literals of a template's expressions.
use super::tags::{self, Kind};

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Literal {
    pub text: String,
    pub is_sought: bool, // compared with, looked for, cut at or replaced
}

/// Every quoted string in expressions and tags, with the usual escapes resolved.
pub fn of(source: &str) -> Vec<Literal> {
    let mut literals = Vec::new();
    for (kind, part) in tags::parts(source) {
        if kind != Kind::Text {
            collect(part, &mut literals);
        }
    }
    literals.sort_unstable();
    literals.dedup();
    literals
}

fn collect(part: &str, literals: &mut Vec<Literal>) {
    let mut at = 2; // behind the opening
    while at < part.len() {
        let end = at + tags::step(&part[at..]);
        if let Some(quoted) = part[at..end].strip_prefix(['\'', '"']) {
            let text = unquoted(quoted.strip_suffix(['\'', '"']).unwrap_or(quoted));
            literals.push(Literal { text, is_sought: is_sought(&part[2..at], &part[end..]) });
        }
        at = end;
    }
}

fn unquoted(quoted: &str) -> String {
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => text.push('\n'),
            ('\\', Some('t')) => text.push('\t'),
            ('\\', Some('r')) => text.push('\r'),
            ('\\', Some(escaped)) => text.push(escaped),
            _ => text.push(c),
        }
    }
    text
}

/// From what stands before and after a literal in its tag.
fn is_sought(before: &str, after: &str) -> bool {
    const SEEKERS: [&str; 15] = [
        "startswith",
        "endswith",
        "split",
        "rsplit",
        "partition",
        "rpartition",
        "find",
        "rfind",
        "index",
        "count",
        "replace",
        "strip",
        "lstrip",
        "rstrip",
        "in",
    ];
    let (before, after) = (before.trim_end(), after.trim_start());
    if ["==", "!="].iter().any(|sign| before.ends_with(sign) || after.starts_with(sign)) {
        return true;
    }
    if after.starts_with("in ") || after.starts_with("not in ") {
        return true;
    }
    let call = before.trim_end_matches(|c: char| c != '(' && c != '[').trim_end_matches(['(', '[']).trim_end();
    let before_call = call.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
    let in_call = before.ends_with(['(', '[', ',']) && SEEKERS.contains(&&call[before_call.len()..]);
    in_call || before.ends_with(" in")
}
