//! Methods of Python's strings, lists and dicts that templates call. What is not here is left to minijinja's
//! pycompat.
use minijinja::value::{from_args, Kwargs, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::python::is_space;
use super::strings::{self, Side};

/// The longest padding that a template may ask for; more is a mistake or an attack.
const MAX_WIDTH: usize = 1 << 16;

pub fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let ours = match value.as_str() {
        Some(text) => string_method(text, method, args)?,
        None if value.kind() == ValueKind::Seq && method == "index" => Some(index_of(value, args)?),
        None => None,
    };
    match ours {
        Some(result) => Ok(result),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn string_method(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "strip" => strip(text, args, true, true)?,
        "lstrip" => strip(text, args, true, false)?,
        "rstrip" => strip(text, args, false, true)?,
        "split" => split(text, args, false)?,
        "rsplit" => split(text, args, true)?,
        "partition" => partition(text, args, false)?,
        "rpartition" => partition(text, args, true)?,
        "find" | "index" => find(text, args, |text, wanted| text.find(wanted), method == "index")?,
        "rfind" | "rindex" => find(text, args, |text, wanted| text.rfind(wanted), method == "rindex")?,
        "count" => count(text, args)?,
        "startswith" => starts(text, args, |text, affix| text.starts_with(affix))?,
        "endswith" => starts(text, args, |text, affix| text.ends_with(affix))?,
        "removeprefix" => Value::from(text.strip_prefix(one(args)?).unwrap_or(text)),
        "removesuffix" => Value::from(text.strip_suffix(one(args)?).unwrap_or(text)),
        "splitlines" => {
            let (keep_ends, options): (Option<bool>, Kwargs) = from_args(args)?;
            let keep_ends = keep_ends.or(options.get("keepends")?).unwrap_or(false);
            options.assert_all_used()?;
            strings::splitlines(text, keep_ends).into_iter().map(Value::from).collect()
        }
        "ljust" => justify(text, args, Side::Left)?,
        "center" => justify(text, args, Side::Center)?,
        "rjust" => justify(text, args, Side::Right)?,
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            Value::from(strings::zfill(text, width.min(MAX_WIDTH)))
        }
        "swapcase" => none(args, || strings::swapcase(text))?,
        "casefold" => none(args, || text.to_lowercase().replace('ß', "ss"))?,
        "title" => none(args, || strings::title(text))?,
        "isdecimal" => none(args, || !text.is_empty() && text.chars().all(char::is_numeric))?,
        _ => return Ok(None),
    }))
}

fn none<T: Into<Value>>(args: &[Value], result: impl FnOnce() -> T) -> Result<Value, Error> {
    let () = from_args(args)?;
    Ok(result().into())
}

fn one(args: &[Value]) -> Result<&str, Error> {
    let (text,): (&str,) = from_args(args)?;
    Ok(text)
}

fn strip(text: &str, args: &[Value], left: bool, right: bool) -> Result<Value, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    let strips = |c: char| chars.map_or(is_space(c), |chars| chars.contains(c));
    let text = if left { text.trim_start_matches(strips) } else { text };
    Ok(Value::from(if right { text.trim_end_matches(strips) } else { text }))
}

fn split(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let (separator, max, options): (Option<&str>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = separator.or(options.get("sep")?);
    let max = max.or(options.get("maxsplit")?).and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
    options.assert_all_used()?;
    let parts = match separator {
        Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
        Some(separator) => strings::split_at(text, separator, max, from_right),
        None => strings::split_words(text, max, from_right),
    };
    Ok(parts.into_iter().map(Value::from).collect())
}

fn partition(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let parts = strings::partition(text, one(args)?, from_right);
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}

fn find(text: &str, args: &[Value], search: fn(&str, &str) -> Option<usize>, must: bool) -> Result<Value, Error> {
    let (needle, start, end): (&str, Option<i64>, Option<i64>) = from_args(args)?;
    let (part, before) = strings::part(text, start, end);
    match search(part, needle) {
        Some(at) => Ok(Value::from(before + part[..at].chars().count())),
        None if must => Err(Error::new(ErrorKind::InvalidOperation, "substring not found")),
        None => Ok(Value::from(-1)),
    }
}

fn count(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (needle, start, end): (&str, Option<i64>, Option<i64>) = from_args(args)?;
    Ok(Value::from(strings::part(text, start, end).0.matches(needle).count()))
}

fn starts(text: &str, args: &[Value], test: fn(&str, &str) -> bool) -> Result<Value, Error> {
    let (affix, start, end): (&Value, Option<i64>, Option<i64>) = from_args(args)?;
    let part = strings::part(text, start, end).0;
    if let Some(affix) = affix.as_str() {
        return Ok(Value::from(test(part, affix)));
    }
    let refused = || Error::new(ErrorKind::InvalidOperation, "expected a string or a tuple of strings");
    if affix.kind() != ValueKind::Seq {
        return Err(refused());
    }
    for candidate in affix.try_iter()? {
        if test(part, candidate.as_str().ok_or_else(refused)?) {
            return Ok(Value::from(true));
        }
    }
    Ok(Value::from(false))
}

fn justify(text: &str, args: &[Value], side: Side) -> Result<Value, Error> {
    let (width, fill): (usize, Option<char>) = from_args(args)?;
    Ok(Value::from(strings::justify(text, width.min(MAX_WIDTH), fill.unwrap_or(' '), side)))
}

/// list.index()
fn index_of(list: &Value, args: &[Value]) -> Result<Value, Error> {
    let (wanted,): (&Value,) = from_args(args)?;
    let found = list.try_iter()?.position(|item| item == *wanted);
    found.map(Value::from).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the list has no such item"))
}
