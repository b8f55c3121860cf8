//! The added tokens of a tokenizer.json, found by the crate's rules, except that a special token is not made of
//! text that a user typed.
use std::ops::Range;

use tokenizers::normalizer::Range as TextRange;
use tokenizers::{AddedToken, NormalizedString, Normalizer, NormalizerWrapper, PreTokenizedString, Result, Token};

use crate::trie::Trie;

/// As the crate does: tokens with `normalized: false` are sought in the text as it is, the others, normalised,
/// in what is left after normalisation.
pub struct AddedTokens {
    raw: Trie<(u32, AddedToken)>,
    normalized: Trie<(u32, AddedToken)>,
}

type Piece = (NormalizedString, Option<Vec<Token>>);

impl AddedTokens {
    pub fn new(tokenizer: &tokenizers::Tokenizer) -> AddedTokens {
        let added = tokenizer.get_added_vocabulary();
        let entries = |normalized: bool| {
            let tokens =
                added.get_added_tokens_decoder().iter().filter(move |(_, token)| token.normalized == normalized);
            tokens.map(move |(id, token)| {
                let key = if normalized { added.simple_id_to_token(*id) } else { None };
                (key.unwrap_or_else(|| token.content.clone()), (*id, token.clone()))
            })
        };
        AddedTokens { raw: Trie::new(entries(false)), normalized: Trie::new(entries(true)) }
    }

    /// Cuts `pieces` at added tokens and normalises the rest. `plain`: bytes of the original text, ascending and
    /// disjoint, of which no special token is made.
    pub fn split(
        &self,
        pieces: &mut PreTokenizedString,
        normalizer: Option<&NormalizerWrapper>,
        plain: &[Range<usize>],
    ) -> Result<()> {
        pieces.split(|_, piece| cut(piece, &self.raw, plain))?;
        pieces.split(|_, mut piece| {
            if let Some(normalizer) = normalizer {
                normalizer.normalize(&mut piece)?;
            }
            cut(piece, &self.normalized, plain)
        })
    }
}

fn cut(piece: NormalizedString, tokens: &Trie<(u32, AddedToken)>, plain: &[Range<usize>]) -> Result<Vec<Piece>> {
    let slice =
        |range: Range<usize>| piece.slice(TextRange::Normalized(range)).ok_or("an added token ends inside a character");
    let text = piece.get();
    let mut pieces = Vec::new();
    let mut done = 0; // bytes of `text` that `pieces` hold
    let mut at = 0;
    while at < text.len() {
        let Some((len, (id, token))) = longest_allowed(&piece, at, tokens, plain) else {
            at += 1;
            continue;
        };
        let range = token_range(text, done, at..at + len, token);
        at += len;
        let Some(range) = range else { continue };
        if done < range.start {
            pieces.push((slice(done..range.start)?, None));
        }
        let found = slice(range.clone())?;
        let value = found.get().to_owned();
        let offsets = (0, value.len());
        pieces.push((found, Some(vec![Token::new(*id, value, offsets)])));
        done = range.end;
        at = at.max(done);
    }
    if done < text.len() || pieces.is_empty() {
        pieces.push((slice(done..text.len())?, None));
    }
    Ok(pieces)
}

fn longest_allowed<'a>(
    piece: &'a NormalizedString,
    at: usize,
    tokens: &'a Trie<(u32, AddedToken)>,
    plain: &[Range<usize>],
) -> Option<(usize, &'a (u32, AddedToken))> {
    let allowed = |len: usize, token: &AddedToken| !token.special || !touches_plain(piece, at..at + len, plain);
    tokens.matches(&piece.get().as_bytes()[at..]).filter(|(len, (_, token))| *len > 0 && allowed(*len, token)).last()
}

fn touches_plain(piece: &NormalizedString, range: Range<usize>, plain: &[Range<usize>]) -> bool {
    let Some(original) = piece.convert_offsets(TextRange::Normalized(range)) else { return false };
    let shift = piece.offsets_original().0;
    let (begin, end) = (original.start + shift, original.end + shift);
    let first = plain.partition_point(|span| span.end <= begin);
    plain.get(first).is_some_and(|span| span.start < end)
}

/// What the token takes of the text, with the white space that it swallows, or None where it must be a word of
/// its own and is not. `done`: where the piece before ends.
fn token_range(text: &str, done: usize, found: Range<usize>, token: &AddedToken) -> Option<Range<usize>> {
    let (before, after) = (&text[..found.start], &text[found.end..]);
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    if token.single_word && (before.ends_with(in_word) || after.starts_with(in_word)) {
        return None;
    }
    let begin = if token.lstrip { before.trim_end().len().max(done) } else { found.start };
    let end = if token.rstrip { text.len() - after.trim_start().len() } else { found.end };
    Some(begin..end)
}
