//! A tokenizer as llguidance sees it: the bytes of each token, and which tokens end a text.
use std::sync::Arc;

use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};
use llguidance::ParserFactory;

use super::limits::parser_limits;
use super::words;

pub struct Vocabulary {
    pub factory: ParserFactory,
}

impl Vocabulary {
    /// `bytes`: those of all tokens, one after the other, `lens` of each; a token of none is never allowed.
    /// `special`: tokens that no text makes, only their names in a grammar.
    pub fn new(bytes: &[u8], lens: &[u32], special: &[u8], eos: &[u32]) -> Result<Vocabulary, String> {
        if eos.is_empty() || eos.iter().any(|&id| id as usize >= lens.len()) {
            return Err(format!("the tokens {eos:?} cannot end a text of a vocabulary of {}", lens.len()));
        }
        let mut rest = bytes;
        let mut tokens = Vec::with_capacity(lens.len());
        for (&len, &special) in lens.iter().zip(special) {
            let (own, behind) = rest.split_at(len as usize);
            rest = behind;
            let mut token = Vec::with_capacity(own.len() + 1);
            if special != 0 && !own.is_empty() {
                token.push(TokTrie::SPECIAL_TOKEN_MARKER);
            }
            token.extend_from_slice(own);
            tokens.push(token);
        }
        let trie = TokTrie::from(&TokRxInfo::new(tokens.len() as u32, eos[0]), &tokens).with_eos_tokens(eos);
        // Not canonical: nothing is forced on the model that says the same in other tokens.
        let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&env, InferenceCapabilities::default(), &slices).map_err(words)?;
        *factory.limits_mut() = parser_limits();
        factory.quiet();
        Ok(Vocabulary { factory })
    }
}
