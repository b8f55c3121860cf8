//! The C boundary of `grammar`.
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use crate::ffi::{guarded, Buffer, Slice};
use crate::grammar::{compile, Grammar, Limits, Matcher, Vocabulary};

/// `lens`: native uint32, of each token's share of `bytes`. `special`: a byte each. `eos`: native uint32.
#[no_mangle]
pub unsafe extern "C" fn lmd_vocabulary_new(
    bytes: Slice,
    lens: Slice,
    special: Slice,
    eos: Slice,
    vocabulary: *mut *mut Arc<Vocabulary>,
    out: *mut Buffer,
) -> bool {
    vocabulary.write(std::ptr::null_mut());
    guarded(out, || {
        let made = Vocabulary::new(bytes.bytes(), &lens.numbers(), special.bytes(), &eos.numbers())?;
        vocabulary.write(Box::into_raw(Box::new(Arc::new(made))));
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn lmd_vocabulary_delete(vocabulary: *mut Arc<Vocabulary>) {
    if !vocabulary.is_null() {
        drop(Box::from_raw(vocabulary));
    }
}

/// See `grammar::compile`. Blocks for at most `max_compile_ms`.
#[no_mangle]
pub unsafe extern "C" fn lmd_grammar_new(
    vocabulary: *const Arc<Vocabulary>,
    lark: Slice,
    schemas: Slice,
    max_depth: u32,
    max_compile_ms: u64,
    grammar: *mut *mut Arc<Grammar>,
    out: *mut Buffer,
) -> bool {
    grammar.write(std::ptr::null_mut());
    guarded(out, || {
        let limits = Limits { max_depth: max_depth as usize, max_compile_time: Duration::from_millis(max_compile_ms) };
        let made = compile(&*vocabulary, lark.text()?, schemas.text()?, limits)?;
        grammar.write(Box::into_raw(Box::new(Arc::new(made))));
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn lmd_grammar_delete(grammar: *mut Arc<Grammar>) {
    if !grammar.is_null() {
        drop(Box::from_raw(grammar));
    }
}

#[no_mangle]
pub unsafe extern "C" fn lmd_grammar_num_bytes(grammar: *const Arc<Grammar>) -> usize {
    (*grammar).num_bytes()
}

#[no_mangle]
pub unsafe extern "C" fn lmd_grammar_has_failed(grammar: *const Arc<Grammar>) -> bool {
    (*grammar).has_failed()
}

#[no_mangle]
pub unsafe extern "C" fn lmd_matcher_new(
    grammar: *const Arc<Grammar>,
    matcher: *mut *mut Matcher,
    out: *mut Buffer,
) -> bool {
    matcher.write(std::ptr::null_mut());
    guarded(out, || {
        matcher.write(Box::into_raw(Box::new(Matcher::new(&*grammar)?)));
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn lmd_matcher_delete(matcher: *mut Matcher) {
    if !matcher.is_null() {
        drop(Box::from_raw(matcher));
    }
}

/// `goes_on`: whether more than the answer's end may come.
#[no_mangle]
pub unsafe extern "C" fn lmd_matcher_fill(
    matcher: *mut Matcher,
    mask: *mut u32,
    num_words: usize,
    goes_on: *mut bool,
    out: *mut Buffer,
) -> bool {
    guarded(out, || {
        goes_on.write((*matcher).fill(slice::from_raw_parts_mut(mask, num_words))?);
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn lmd_matcher_accept(matcher: *mut Matcher, token: u32, out: *mut Buffer) -> bool {
    guarded(out, || (*matcher).accept(token).map(|()| Vec::new()))
}
