//! The C boundary: bytes in, bytes out, and no panic across it.
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::slice;

use crate::template::Template;
use crate::tokenizer::Tokenizer;

/// Bytes that Rust owns until `lmd_free` gets them back.
#[repr(C)]
pub struct Buffer {
    data: *mut u8,
    len: usize,
    capacity: usize,
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Buffer {
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        Buffer { data: bytes.as_mut_ptr(), len: bytes.len(), capacity: bytes.capacity() }
    }
}

/// Bytes that the caller keeps alive during the call. `data` may be null where `len` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    data: *const u8,
    len: usize,
}

impl Slice {
    pub unsafe fn bytes(&self) -> &[u8] {
        if self.len == 0 {
            &[]
        } else {
            slice::from_raw_parts(self.data, self.len)
        }
    }

    pub unsafe fn text(&self) -> Result<&str, String> {
        std::str::from_utf8(self.bytes()).map_err(|e| format!("not UTF-8: {e}"))
    }

    /// Of native uint32.
    pub unsafe fn numbers(&self) -> Vec<u32> {
        let number = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().expect("4 bytes"));
        self.bytes().chunks_exact(4).map(number).collect()
    }
}

#[no_mangle]
pub unsafe extern "C" fn lmd_free(buffer: Buffer) {
    drop(Vec::from_raw_parts(buffer.data, buffer.len, buffer.capacity));
}

/// Runs `work`; its bytes, or the words of its error or panic, go to `out`. True when it succeeded.
pub unsafe fn guarded(out: *mut Buffer, work: impl FnOnce() -> Result<Vec<u8>, String>) -> bool {
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panic_words(panic.as_ref())));
    let succeeded = result.is_ok();
    out.write(result.unwrap_or_else(String::into_bytes).into());
    succeeded
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("internal error: {}", words.unwrap_or("no message"))
}

fn id_bytes(ids: impl IntoIterator<Item = u32>) -> Vec<u8> {
    ids.into_iter().flat_map(u32::to_ne_bytes).collect()
}

/// `*tokenizer` is null on failure.
#[no_mangle]
pub unsafe extern "C" fn lmd_tokenizer_new(
    json: Slice,
    extra_tokens: Slice,
    tokenizer: *mut *mut Tokenizer,
    out: *mut Buffer,
) -> bool {
    tokenizer.write(std::ptr::null_mut());
    guarded(out, || {
        let loaded = Tokenizer::from_json(json.text()?, extra_tokens.text()?)?;
        tokenizer.write(Box::into_raw(Box::new(loaded)));
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn lmd_tokenizer_delete(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        drop(Box::from_raw(tokenizer));
    }
}

/// A JSON object that says what the file holds: see `Tokenizer::describe`.
#[no_mangle]
pub unsafe extern "C" fn lmd_tokenizer_describe(tokenizer: *const Tokenizer, out: *mut Buffer) -> bool {
    guarded(out, || Ok((*tokenizer).describe().into_bytes()))
}

/// Ids as native uint32.
#[no_mangle]
pub unsafe extern "C" fn lmd_tokenizer_encode(
    tokenizer: *const Tokenizer,
    text: Slice,
    add_special_tokens: bool,
    out: *mut Buffer,
) -> bool {
    guarded(out, || (*tokenizer).encode(text.text()?, add_special_tokens).map(id_bytes))
}

/// `plain`: pairs of native uint64 (begin, end), ascending and disjoint byte offsets.
#[no_mangle]
pub unsafe extern "C" fn lmd_tokenizer_encode_rendered(
    tokenizer: *const Tokenizer,
    text: Slice,
    plain: Slice,
    out: *mut Buffer,
) -> bool {
    guarded(out, || {
        let offset = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("8 bytes")) as usize;
        let plain: Vec<_> = plain.bytes().chunks_exact(16).map(|pair| offset(&pair[..8])..offset(&pair[8..])).collect();
        (*tokenizer).encode_rendered(text.text()?, &plain).map(id_bytes)
    })
}

/// `ids`: native uint32.
#[no_mangle]
pub unsafe extern "C" fn lmd_tokenizer_decode(
    tokenizer: *const Tokenizer,
    ids: Slice,
    skip_special_tokens: bool,
    out: *mut Buffer,
) -> bool {
    guarded(out, || (*tokenizer).decode(&ids.numbers(), skip_special_tokens).map(String::into_bytes))
}

/// -1 where the vocabulary has no such token.
#[no_mangle]
pub unsafe extern "C" fn lmd_tokenizer_token_to_id(tokenizer: *const Tokenizer, token: Slice) -> i64 {
    let find = || token.text().ok().and_then(|token| (*tokenizer).token_to_id(token));
    catch_unwind(AssertUnwindSafe(find)).ok().flatten().map_or(-1, i64::from)
}

/// Empty where the vocabulary has no such id.
#[no_mangle]
pub unsafe extern "C" fn lmd_tokenizer_id_to_token(tokenizer: *const Tokenizer, id: u32, out: *mut Buffer) -> bool {
    guarded(out, || Ok((*tokenizer).id_to_token(id).unwrap_or_default().into_bytes()))
}

/// `setup` is JSON: see `template::Setup`. `*template` is null on failure.
#[no_mangle]
pub unsafe extern "C" fn lmd_template_new(setup: Slice, template: *mut *mut Template, out: *mut Buffer) -> bool {
    template.write(std::ptr::null_mut());
    guarded(out, || {
        let loaded = Template::from_setup(setup.text()?)?;
        template.write(Box::into_raw(Box::new(loaded)));
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn lmd_template_delete(template: *mut Template) {
    if !template.is_null() {
        drop(Box::from_raw(template));
    }
}

/// `input` is a JSON object of the template's variables. `out` gets the text, `plain` pairs of native uint64.
#[no_mangle]
pub unsafe extern "C" fn lmd_template_render(
    template: *const Template,
    input: Slice,
    plain: *mut Buffer,
    out: *mut Buffer,
) -> bool {
    plain.write(Vec::new().into());
    guarded(out, || {
        let rendered = (*template).render(input.text()?)?;
        let offsets = rendered.plain.iter().flat_map(|span| [span.start as u64, span.end as u64]);
        plain.write(offsets.flat_map(u64::to_ne_bytes).collect::<Vec<u8>>().into());
        Ok(rendered.text.into_bytes())
    })
}
