//! The form of an answer through llguidance: Lark grammars and JSON schemas become masks over a vocabulary.
mod compile;
mod limits;
mod matcher;
mod vocabulary;

pub use compile::{compile, Grammar};
pub use limits::Limits;
pub use matcher::Matcher;
pub use vocabulary::Vocabulary;

/// The crate's words without what only its developers want to read: backtraces and dumps of the parser's state.
fn words(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let end = ["\n<backtrace>", "\n<state>", "\n<non-verbose/>"].iter().filter_map(|mark| text.find(mark)).min();
    text[..end.unwrap_or(text.len())].to_string()
}
