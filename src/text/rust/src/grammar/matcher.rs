//! One answer's way through its grammar.
use std::sync::Arc;

use super::compile::Grammar;
use super::words;

/// The grammar is measured each time that an answer has so many tokens more.
const TOKENS_PER_MEASUREMENT: usize = 64;

pub struct Matcher {
    inner: llguidance::Matcher,
    grammar: Arc<Grammar>,
    num_tokens: usize,
}

impl Matcher {
    pub fn new(grammar: &Arc<Grammar>) -> Result<Matcher, String> {
        let inner = llguidance::Matcher::new(Ok(grammar.parser()?));
        Ok(Matcher { inner, grammar: grammar.clone(), num_tokens: 0 })
    }

    /// Bits of the tokens that may come next. False where only the answer's end may.
    pub fn fill(&mut self, mask: &mut [u32]) -> Result<bool, String> {
        let allowed = self.inner.compute_mask_or_eos().map_err(|error| self.failed(error))?;
        let bits = allowed.as_slice();
        let num_common = bits.len().min(mask.len());
        mask[..num_common].copy_from_slice(&bits[..num_common]);
        mask[num_common..].fill(0);
        Ok(!self.inner.is_stopped())
    }

    pub fn accept(&mut self, token: u32) -> Result<(), String> {
        if self.inner.is_stopped() && !self.inner.is_error() {
            return Ok(()); // what ends a whole answer
        }
        self.num_tokens += 1;
        if self.num_tokens % TOKENS_PER_MEASUREMENT == 0 {
            self.grammar.measure();
        }
        self.inner.consume_token(token).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl std::fmt::Display) -> String {
        self.grammar.fail();
        words(error)
    }
}
