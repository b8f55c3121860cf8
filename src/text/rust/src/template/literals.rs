//! The string literals of a template's expressions.

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Literal {
    pub text: String,
    pub is_sought: bool, // compared with, looked for, cut at or replaced
}

/// Every quoted string inside `{{ }}` and `{% %}`, with the usual escapes resolved.
pub fn of(source: &str) -> Vec<Literal> {
    let mut literals = Vec::new();
    let mut at = 0;
    while let Some(begin) = source[at..].find("{{").into_iter().chain(source[at..].find("{%")).min() {
        let begin = at + begin;
        let closing = if source[begin..].starts_with("{{") { "}}" } else { "%}" };
        at = collect(source, begin + 2, closing, &mut literals);
    }
    literals.sort_unstable();
    literals.dedup();
    literals
}

/// Reads one tag's inside from `begin`; the place behind its closing is returned.
fn collect(source: &str, begin: usize, closing: &str, literals: &mut Vec<Literal>) -> usize {
    let mut at = begin;
    while let Some(c) = source[at..].chars().next() {
        if source[at..].starts_with(closing) {
            return at + closing.len();
        }
        let before = &source[begin..at];
        at += c.len_utf8();
        if c == '\'' || c == '"' {
            let (text, len) = unquoted(&source[at..], c);
            at += len;
            literals.push(Literal { text, is_sought: is_sought(before, &source[at..]) });
        }
    }
    at
}

/// A literal's text up to its closing quote, and its bytes in the source with that quote.
fn unquoted(source: &str, quote: char) -> (String, usize) {
    let mut text = String::new();
    let mut chars = source.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, escaped)) => text.push(escaped),
                None => break,
            },
            c if c == quote => return (text, at + quote.len_utf8()),
            c => text.push(c),
        }
    }
    (text, source.len())
}

/// From what stands before and after a literal in its tag.
fn is_sought(before: &str, after: &str) -> bool {
    const SEEKERS: [&str; 15] = [
        "startswith", "endswith", "split", "rsplit", "partition", "rpartition", "find", "rfind", "index", "count",
        "replace", "strip", "lstrip", "rstrip", "in",
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
