//! `{% generation %}`: transformers' tag around what the assistant says, there to mask training data. Its body is
//! rendered in a scope of its own, which is what `{% with %}` does here.

pub fn without_generation_tags(source: &str) -> String {
    let mut rewritten = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(begin) = rest.find("{%") {
        let (before, tag) = rest.split_at(begin);
        rewritten += before;
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(end);
        rewritten += &renamed(tag);
        rest = after;
    }
    rewritten + rest
}

/// `tag`: from "{%" to before "%}".
fn renamed(tag: &str) -> String {
    let is_sign = |c: char| c == '-' || c == '+';
    let name = tag[2..].trim_start_matches(is_sign).trim_end_matches(is_sign).trim();
    match name {
        "generation" => tag.replacen("generation", "with", 1),
        "endgeneration" => tag.replacen("endgeneration", "endwith", 1),
        _ => tag.to_owned(),
    }
}
