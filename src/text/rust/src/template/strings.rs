//! Python's string methods that work on text alone.
use super::python::is_space;

/// str.splitlines()
pub fn splitlines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(len) = rest.find(is_line_end) {
        let end = len
            + if rest[len..].starts_with("\r\n") { 2 } else { rest[len..].chars().next().map_or(0, char::len_utf8) };
        lines.push(&rest[..if keep_ends { end } else { len }]);
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// str.split() and str.rsplit() at white space; `max` cuts at most.
pub fn split_words(text: &str, max: usize, from_right: bool) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = if from_right { text.trim_end_matches(is_space) } else { text.trim_start_matches(is_space) };
    while !rest.is_empty() {
        let cut = if words.len() == max {
            None
        } else if from_right {
            rest.rfind(is_space).map(|at| (&rest[at..], &rest[..at]))
        } else {
            rest.find(is_space).map(|at| (&rest[..at], &rest[at..]))
        };
        let Some((word, remainder)) = cut else {
            words.push(rest);
            break;
        };
        words.push(word.trim_matches(is_space));
        rest = if from_right { remainder.trim_end_matches(is_space) } else { remainder.trim_start_matches(is_space) };
    }
    if words.len() > max {
        let last = words.len() - 1;
        words[last] = if from_right { words[last].trim_end_matches(is_space) } else { words[last] };
    }
    if from_right {
        words.reverse();
    }
    words
}

/// str.split(separator) and str.rsplit(separator)
pub fn split_at<'a>(text: &'a str, separator: &str, max: usize, from_right: bool) -> Vec<&'a str> {
    if !from_right {
        return text.splitn(max.saturating_add(1), separator).collect();
    }
    let mut parts: Vec<&str> = text.rsplitn(max.saturating_add(1), separator).collect();
    parts.reverse();
    parts
}

/// str.partition() and str.rpartition()
pub fn partition<'a>(text: &'a str, separator: &'a str, from_right: bool) -> [&'a str; 3] {
    let found = if from_right { text.rsplit_once(separator) } else { text.split_once(separator) };
    match found {
        Some((before, after)) => [before, separator, after],
        None if from_right => ["", "", text],
        None => [text, "", ""],
    }
}

/// The part of `text` that Python's optional start and end arguments name (characters, negative from the end),
/// and how many characters are before it.
pub fn part(text: &str, start: Option<i64>, end: Option<i64>) -> (&str, usize) {
    let len = text.chars().count() as i64;
    let place = |index: i64| if index < 0 { (index + len).max(0) } else { index.min(len) } as usize;
    let (start, end) = (place(start.unwrap_or(0)), place(end.unwrap_or(len)));
    let byte = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    (&text[byte(start)..byte(end.max(start))], start)
}

#[derive(Clone, Copy)]
pub enum Side {
    Left,
    Center,
    Right,
}

/// str.ljust(), str.center() and str.rjust(): where the text stands.
pub fn justify(text: &str, width: usize, fill: char, side: Side) -> String {
    let padding = width.saturating_sub(text.chars().count());
    let before = match side {
        Side::Left => 0,
        Side::Center => padding / 2 + (padding & width & 1),
        Side::Right => padding,
    };
    let repeat = |count: usize| std::iter::repeat(fill).take(count);
    repeat(before).chain(text.chars()).chain(repeat(padding - before)).collect()
}

/// str.zfill()
pub fn zfill(text: &str, width: usize) -> String {
    let sign = if text.starts_with(['+', '-']) { 1 } else { 0 };
    let digits = justify(&text[sign..], width.saturating_sub(sign), '0', Side::Right);
    text[..sign].to_owned() + &digits
}

/// str.swapcase()
pub fn swapcase(text: &str) -> String {
    let swap = |c: char| -> String {
        if c.is_uppercase() {
            c.to_lowercase().collect()
        } else {
            c.to_uppercase().collect()
        }
    };
    text.chars().map(swap).collect()
}

/// str.title()
pub fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            titled.extend(c.to_lowercase());
        } else {
            titled.extend(c.to_uppercase());
        }
        in_word = c.is_alphabetic();
    }
    titled
}
