//! tokenizer.json through the crate `tokenizers`.
use std::ops::Range;
use std::str::FromStr;

use serde::de::IgnoredAny;
use serde_json::json;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Model, OffsetType, PreTokenizedString, PreTokenizer};

use crate::added_tokens::AddedTokens;

pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    added_tokens: AddedTokens,
    has_byte_fallback: bool,
}

fn words(error: Box<dyn std::error::Error + Send + Sync>) -> String {
    error.to_string()
}

impl Tokenizer {
    /// `json`: a tokenizer.json. Its truncation and padding are for training and are dropped, as transformers
    /// drops them. `extra_tokens`: a JSON list of added tokens, taken where the vocabulary has their text.
    pub fn from_json(json: &str, extra_tokens: &str) -> Result<Tokenizer, String> {
        // The crate panics on some damaged files.
        serde_json::from_str::<IgnoredAny>(json).map_err(|e| e.to_string())?;
        let mut inner = tokenizers::Tokenizer::from_str(json).map_err(words)?;
        inner.with_truncation(None).map_err(words)?;
        inner.with_padding(None);
        let extra_tokens: Vec<AddedToken> = serde_json::from_str(extra_tokens).map_err(|e| e.to_string())?;
        let news = extra_tokens.into_iter().filter(|token| is_news(&inner, token)).collect::<Vec<_>>();
        inner.add_tokens(news).map_err(words)?;
        let added_tokens = AddedTokens::new(&inner);
        let has_byte_fallback = decoder_has(&inner, "ByteFallback");
        Ok(Tokenizer { inner, added_tokens, has_byte_fallback })
    }

    /// {"vocab_size", "special": [[id, content], ...], "missing_bytes": how many of the 256 byte characters a
    /// byte-level vocabulary lacks}.
    pub fn describe(&self) -> String {
        let mut special: Vec<_> = self
            .inner
            .get_added_vocabulary()
            .get_added_tokens_decoder()
            .iter()
            .filter(|(_, token)| token.special)
            .collect();
        special.sort_by_key(|(id, _)| **id);
        let special: Vec<_> = special.into_iter().map(|(id, token)| json!([id, token.content])).collect();
        json!({"vocab_size": self.vocab_size(), "special": special, "missing_bytes": self.num_missing_bytes()})
            .to_string()
    }

    fn vocab_size(&self) -> usize {
        let num_tokens = self.inner.get_vocab_size(true);
        let dense = (0..num_tokens).all(|id| self.inner.id_to_token(id as u32).is_some());
        if dense {
            return num_tokens;
        }
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }

    fn num_missing_bytes(&self) -> usize {
        let byte_level = decoder_has(&self.inner, "ByteLevel");
        if !byte_level || self.has_byte_fallback {
            return 0;
        }
        let model = self.inner.get_model();
        ByteLevel::alphabet().iter().filter(|byte| model.token_to_id(&byte.to_string()).is_none()).count()
    }

    /// As Hugging Face encodes a text: added tokens are recognised anywhere.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, String> {
        let encoding = self.inner.encode_fast(text, add_special_tokens).map_err(words)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// As `encode` without the post-processor's tokens, but no special token is made of a byte of `plain`.
    pub fn encode_rendered(&self, text: &str, plain: &[Range<usize>]) -> Result<Vec<u32>, String> {
        if plain.is_empty() {
            return self.encode(text, false);
        }
        let mut pieces = PreTokenizedString::from(text);
        self.added_tokens.split(&mut pieces, self.inner.get_normalizer(), plain).map_err(words)?;
        if let Some(pre_tokenizer) = self.inner.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut pieces).map_err(words)?;
        }
        pieces.tokenize(|piece| self.inner.get_model().tokenize(piece.get())).map_err(words)?;
        Ok(pieces.into_encoding(None, 0, OffsetType::None).map_err(words)?.get_ids().to_vec())
    }

    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String, String> {
        if !self.has_byte_fallback {
            return self.inner.decode(ids, skip_special_tokens).map_err(words);
        }
        let added = self.inner.get_added_vocabulary();
        let token = |id: &u32| added.simple_id_to_token(*id).or_else(|| self.inner.get_model().id_to_token(*id));
        let tokens =
            ids.iter().filter_map(token).filter(|token| !skip_special_tokens || !added.is_special_token(token));
        let tokens = mend_byte_runs(tokens.collect());
        let decoder = self.inner.get_decoder().expect("byte fallback is a decoder");
        tokenizers::Decoder::decode(decoder, tokens).map_err(words)
    }

    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }
}

/// Whether the tokenizer has the token's text, but not as an added token, or not as a special one.
fn is_news(tokenizer: &tokenizers::Tokenizer, token: &AddedToken) -> bool {
    let Some(id) = tokenizer.token_to_id(&token.content) else { return false };
    let known = tokenizer.get_added_vocabulary().get_added_tokens_decoder().get(&id);
    known.map_or(true, |known| token.special && !known.special)
}

/// Whether the decoder is, or has among its parts, one of this type.
fn decoder_has(tokenizer: &tokenizers::Tokenizer, part: &str) -> bool {
    serde_json::to_string(&tokenizer.get_decoder()).is_ok_and(|json| json.contains(&format!("\"type\":\"{part}\"")))
}

/// The crate turns every byte of a run of byte tokens into U+FFFD when one of them is wrong. SentencePiece keeps
/// the characters that are whole, and so do we: a stream can then give a character out as soon as it is whole,
/// and still add up to the decoding of all tokens.
fn mend_byte_runs(tokens: Vec<String>) -> Vec<String> {
    let mut mended = Vec::with_capacity(tokens.len());
    let mut run: Vec<u8> = Vec::new();
    for token in tokens {
        match byte_of(&token) {
            Some(byte) => run.push(byte),
            None => {
                push_run(&mut mended, &mut run);
                mended.push(token);
            }
        }
    }
    push_run(&mut mended, &mut run);
    mended
}

fn byte_of(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

fn push_run(tokens: &mut Vec<String>, run: &mut Vec<u8>) {
    for chunk in run.utf8_chunks() {
        tokens.extend(chunk.valid().bytes().map(|byte| format!("<0x{byte:02X}>")));
        tokens.extend(chunk.invalid().iter().map(|_| "\u{FFFD}".to_string()));
    }
    run.clear();
}
