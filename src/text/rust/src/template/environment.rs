//! Jinja as transformers sets it up.
use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};

use super::{filters, methods, python};

/// Steps of one render; the engine charges one for an instruction and for each 64 bytes that it makes. The
/// heaviest template known takes about 20,000 for a message.
const MAX_STEPS: u64 = 10_000_000;
const MAX_DEPTH: usize = 200;

/// The words of a template that called raise_exception.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

pub fn raised_words(error: &Error) -> Option<String> {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(raised) = inner.downcast_ref::<Raised>() {
            return Some(raised.0.clone());
        }
        cause = inner.source();
    }
    None
}

pub fn new() -> Environment<'static> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    environment.set_syntax(syntax.trim_blocks(true).lstrip_blocks(true).build().expect("the usual delimiters"));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_recursion_limit(MAX_DEPTH);
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(|out, _, value| Ok(out.write_str(&python::to_str(value)?)?));
    environment.remove_global("debug");
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment.add_function("cycler", minijinja_contrib::globals::cycler);
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    filters::add_to(&mut environment);
    environment
}

fn raise_exception(message: &Value) -> Result<Value, Error> {
    let message = python::to_str(message)?;
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
}

/// datetime.now().strftime(format)
fn strftime_now(format: &str) -> Result<String, Error> {
    let refused = || Error::new(ErrorKind::InvalidOperation, "strftime_now: a format that strftime refuses");
    let format = std::ffi::CString::new(format).map_err(|_| refused())?;
    let mut text = [0u8; 1024];
    let len = unsafe {
        let now = libc::time(std::ptr::null_mut());
        let mut local: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&now, &mut local).is_null() {
            return Err(refused());
        }
        libc::strftime(text.as_mut_ptr().cast(), text.len(), format.as_ptr(), &local)
    };
    String::from_utf8(text[..len].to_vec()).map_err(|_| refused())
}
