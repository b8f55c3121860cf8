//! How a special token's text that a user typed stays text.
//!
//! Before a render, characters of the user's strings that could become part of a special token are exchanged for
//! code points of plane 16 that occur nowhere else; the template carries them along through strip, slices, split,
//! tojson and concatenation like any other character, without a change of length. Afterwards they are exchanged
//! back, and where they stood is where the text is plain: no special token may include one of these bytes.
//!
//! Exchanged are (a) every character of a whole special token; (b) the first character of every beginning of one,
//! because templates cut and join; (c) the last character of an end of one at the beginning of a string. What a
//! template looks for itself ('</think>' in content) is left alone by (b): strings of the template that it tests
//! for, and those that begin no special token.
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use minijinja::value::Object;
use minijinja::{State, Value};
use serde_json::Value as Json;

use super::literals::{self, Literal};
use crate::trie::Trie;

/// The variable in which a render carries its marks; no template can spell it.
const VARIABLE: &str = "\u{10FFFF}";
const FIRST_MARK: u32 = 0x10_0000;
const LAST_MARK: u32 = 0x10_FFFD;

/// What of a render is the same for all inputs.
pub struct Guard {
    tokens: Vec<String>,
    trie: Trie<()>,
    exempt: Vec<String>, // strings that the template looks for
    in_source: HashSet<char>,
}

/// The exchange of one render.
pub struct Marker<'a> {
    guard: Option<&'a Guard>,
    to_mark: HashMap<char, char>,
    from_mark: HashMap<char, char>,
}

#[derive(Debug)]
struct Originals(HashMap<char, char>);

impl Object for Originals {}

/// The character that a mark stands for, for filters that look at characters; any other character itself.
pub fn original(state: &State, c: char) -> char {
    if !is_mark(c) {
        return c;
    }
    let marks = state.lookup(VARIABLE);
    let originals = marks.as_ref().and_then(|marks| marks.downcast_object_ref::<Originals>());
    originals.and_then(|originals| originals.0.get(&c)).copied().unwrap_or(c)
}

pub struct Rendered {
    pub text: String,
    pub plain: Vec<Range<usize>>, // bytes of `text`, ascending and disjoint
}

fn is_mark(c: char) -> bool {
    (FIRST_MARK..=LAST_MARK).contains(&(c as u32))
}

impl Guard {
    pub fn new(special_tokens: Vec<String>, source: &str) -> Guard {
        // White space must stay white space: a template strips it.
        let tokens: Vec<String> = special_tokens.into_iter().filter(|token| !token.trim().is_empty()).collect();
        let trie = Trie::new(tokens.iter().map(|token| (token.clone(), ())));
        let is_exempt = |literal: &Literal| {
            let begins_token = tokens.iter().any(|token| token.starts_with(literal.text.as_str()));
            let holds_token = tokens.iter().any(|token| literal.text.contains(token.as_str()));
            !literal.text.is_empty() && !holds_token && (literal.is_sought || !begins_token)
        };
        let exempt = literals::of(source).into_iter().filter(is_exempt).map(|literal| literal.text).collect();
        Guard { exempt, tokens, trie, in_source: source.chars().filter(|c| is_mark(*c)).collect() }
    }

    /// An error where the input leaves no code point for the exchange.
    pub fn marker(&self, input: &Json) -> Result<Marker<'_>, String> {
        let mut used = self.in_source.clone();
        collect_marks(input, &mut used);
        let mut free = (FIRST_MARK..=LAST_MARK).filter_map(char::from_u32).filter(|c| !used.contains(c));
        let mut marker = Marker { guard: Some(self), to_mark: HashMap::new(), from_mark: HashMap::new() };
        for c in self.tokens.iter().flat_map(|token| token.chars()) {
            if let Entry::Vacant(place) = marker.to_mark.entry(c) {
                let mark = free.next().ok_or("the messages use up the private characters of Unicode's plane 16")?;
                place.insert(mark);
                marker.from_mark.insert(mark, c);
            }
        }
        Ok(marker)
    }

    /// Where `text` holds a character that is to be exchanged, bytes, ascending.
    fn places(&self, text: &str) -> Vec<usize> {
        let mut places = self.suffix_places(text);
        let exempt = self.exempt_places(text);
        let mut whole_until = 0; // the end of the last whole token
        for (at, c) in text.char_indices() {
            let rest = &text.as_bytes()[at..];
            if self.trie.common_prefix_len(rest) >= c.len_utf8() {
                let whole = self.trie.matches(rest).last().map_or(0, |(len, _)| len);
                whole_until = whole_until.max(at + whole);
                let begins_token = !c.is_alphanumeric() && !exempt.iter().any(|range| range.contains(&at));
                if at < whole_until || begins_token {
                    places.push(at);
                }
            } else if at < whole_until {
                places.push(at);
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    fn suffix_places(&self, text: &str) -> Vec<usize> {
        let start = text.len() - text.trim_start().len();
        let longest = self.tokens.iter().map(String::len).max().unwrap_or(0);
        let mut places = Vec::new();
        for (offset, c) in text[start..].char_indices().take_while(|(offset, _)| *offset < longest) {
            let head = &text[start..start + offset + c.len_utf8()];
            let is_suffix = |token: &String| token.len() > head.len() && token.ends_with(head);
            if !c.is_alphanumeric() && self.tokens.iter().any(is_suffix) {
                places.push(start + offset);
            }
        }
        places
    }

    fn exempt_places(&self, text: &str) -> Vec<Range<usize>> {
        let found = |literal: &'_ String| -> Vec<Range<usize>> {
            text.match_indices(literal.as_str()).map(|(at, _)| at..at + literal.len()).collect()
        };
        self.exempt.iter().flat_map(found).collect()
    }
}

fn collect_marks(json: &Json, marks: &mut HashSet<char>) {
    match json {
        Json::String(text) => marks.extend(text.chars().filter(|c| is_mark(*c))),
        Json::Array(items) => items.iter().for_each(|item| collect_marks(item, marks)),
        Json::Object(entries) => entries.iter().for_each(|(key, value)| {
            marks.extend(key.chars().filter(|c| is_mark(*c)));
            collect_marks(value, marks);
        }),
        _ => (),
    }
}

impl Marker<'_> {
    /// Leaves everything as it is: for what the model's own files say.
    pub fn none() -> Marker<'static> {
        Marker { guard: None, to_mark: HashMap::new(), from_mark: HashMap::new() }
    }

    /// What the template's variables must include, for `original`.
    pub fn variable(&self) -> (Value, Value) {
        (Value::from(VARIABLE), Value::from_object(Originals(self.from_mark.clone())))
    }

    pub fn mark(&self, text: &str) -> String {
        let places = self.guard.map_or_else(Vec::new, |guard| guard.places(text));
        let mut marked = String::with_capacity(text.len() + 3 * places.len());
        let mut done = 0;
        for place in places {
            marked += &text[done..place];
            let c = text[place..].chars().next().expect("a place is inside the text");
            marked.push(self.to_mark.get(&c).copied().unwrap_or(c));
            done = place + c.len_utf8();
        }
        marked += &text[done..];
        marked
    }

    pub fn unmark(&self, text: String) -> Rendered {
        if !text.chars().any(is_mark) {
            return Rendered { text, plain: Vec::new() };
        }
        let mut rendered = Rendered { text: String::with_capacity(text.len()), plain: Vec::new() };
        for c in text.chars() {
            let begin = rendered.text.len();
            let original = self.from_mark.get(&c);
            rendered.text.push(*original.unwrap_or(&c));
            if original.is_none() {
                continue;
            }
            match rendered.plain.last_mut() {
                Some(last) if last.end == begin => last.end = rendered.text.len(),
                _ => rendered.plain.push(begin..rendered.text.len()),
            }
        }
        rendered
    }
}
