//! The string literals of a template's expressions.

/// Every quoted string inside `{{ }}` and `{% %}`, with the usual escapes resolved.
pub fn of(source: &str) -> Vec<String> {
    let mut literals = Vec::new();
    let mut rest = source;
    while let Some(begin) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let closing = if rest[begin..].starts_with("{{") { "}}" } else { "%}" };
        rest = collect(&rest[begin + 2..], closing, &mut literals);
    }
    literals.sort_unstable();
    literals.dedup();
    literals
}

/// Reads one tag's inside; what follows its closing is returned.
fn collect<'a>(mut rest: &'a str, closing: &str, literals: &mut Vec<String>) -> &'a str {
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(closing) {
            return after;
        }
        rest = &rest[c.len_utf8()..];
        if c == '\'' || c == '"' {
            rest = collect_literal(rest, c, literals);
        }
    }
    rest
}

fn collect_literal<'a>(text: &'a str, quote: char, literals: &mut Vec<String>) -> &'a str {
    let mut literal = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            literals.push(literal);
            return &text[at + quote.len_utf8()..];
        }
        if c != '\\' {
            literal.push(c);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => literal.push('\n'),
            Some((_, 't')) => literal.push('\t'),
            Some((_, 'r')) => literal.push('\r'),
            Some((_, escaped)) => literal.push(escaped),
            None => break,
        }
    }
    ""
}
