//! Methods of Python's strings, lists and dicts that templates call.
use minijinja::value::from_args;
use minijinja::{Error, State, Value};

use super::python::is_space;

/// What minijinja's pycompat lacks or does in its own way; the rest is left to it.
pub fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        match method {
            "strip" => return Ok(Value::from(strip(text, args, true, true)?)),
            "lstrip" => return Ok(Value::from(strip(text, args, true, false)?)),
            "rstrip" => return Ok(Value::from(strip(text, args, false, true)?)),
            "removeprefix" => {
                let (prefix,): (&str,) = from_args(args)?;
                return Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)));
            }
            "removesuffix" => {
                let (suffix,): (&str,) = from_args(args)?;
                return Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)));
            }
            "split" if args.is_empty() => return Ok(text.split(is_space).filter(|word| !word.is_empty()).map(Value::from).collect()),
            _ => (),
        }
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
}

fn strip<'a>(text: &'a str, args: &[Value], left: bool, right: bool) -> Result<&'a str, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    let strips = |c: char| chars.map_or(is_space(c), |chars| chars.contains(c));
    let text = if left { text.trim_start_matches(strips) } else { text };
    Ok(if right { text.trim_end_matches(strips) } else { text })
}
