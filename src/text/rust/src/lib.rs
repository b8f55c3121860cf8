//! The parts of text/ that stand on Rust crates: Hugging Face's tokenizers, minijinja and llguidance, behind a C
//! ABI whose C++ face is src/text/rust_bridge.h. Nothing here is called by any other language or from any other
//! folder.
mod added_tokens;
mod ffi;
mod grammar;
mod grammar_ffi;
mod template;
mod tokenizer;
mod trie;
