//! Filters and tests that Jinja defines in another way than minijinja.
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::{json, marks, python, rewrite, strings};

pub fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("string", |value: &Value| python::to_str(value));
    environment.add_filter("join", join);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("indent", indent);
    environment.add_filter("trim", trim);
    environment.add_filter(rewrite::CHECK_FILTER, checked_items);
    for name in ["e", "escape", "forceescape"] {
        environment.add_filter(name, escape);
    }
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_sequence);
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
}

fn join(items: &Value, separator: Option<&Value>, attribute: Option<&Value>, options: Kwargs) -> Result<String, Error> {
    let separator =
        separator.cloned().or(options.get("d")?).map_or(Ok(String::new()), |given| python::to_str(&given))?;
    let attribute: Option<Value> = attribute.cloned().or(options.get("attribute")?);
    options.assert_all_used()?;
    let mut texts = Vec::new();
    for item in checked_items(items.clone())?.try_iter()? {
        texts.push(match &attribute {
            Some(attribute) => python::to_str(&item.get_item(attribute)?)?,
            None => python::to_str(&item)?,
        });
    }
    Ok(texts.join(&separator))
}

fn checked_items(items: Value) -> Result<Value, Error> {
    if items.is_none() {
        return Err(Error::new(ErrorKind::InvalidOperation, "None is not iterable"));
    }
    Ok(items)
}

fn default(value: &Value, fallback: Option<Value>, if_false: Option<bool>, options: Kwargs) -> Result<Value, Error> {
    let fallback = fallback.or(options.get("default_value")?).unwrap_or_else(|| Value::from(""));
    let if_false = if_false.or(options.get("boolean")?).unwrap_or(false);
    options.assert_all_used()?;
    let use_fallback = value.is_undefined() || (if_false && !value.is_true());
    Ok(if use_fallback { fallback } else { value.clone() })
}

fn indent(
    value: &Value,
    width: Option<&Value>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<String, Error> {
    let width = width.cloned().or(options.get("width")?).unwrap_or_else(|| Value::from(4));
    let first = first.or(options.get("first")?).unwrap_or(false);
    let blank = blank.or(options.get("blank")?).unwrap_or(false);
    options.assert_all_used()?;
    let margin = match width.as_str() {
        Some(margin) => margin.to_owned(),
        None => " ".repeat(i64::try_from(width)?.clamp(0, 1024) as usize),
    };
    let text = python::to_str(value)? + "\n";
    let mut indented = String::new();
    for (i, line) in strings::splitlines(&text, false).into_iter().enumerate() {
        let has_margin = if i == 0 { first } else { blank || !line.is_empty() };
        indented += if i == 0 { "" } else { "\n" };
        indented += if has_margin { &margin } else { "" };
        indented += line;
    }
    Ok(indented)
}

fn trim(value: &Value, chars: Option<&str>) -> Result<String, Error> {
    let strips = |c: char| chars.map_or(python::is_space(c), |chars| chars.contains(c));
    Ok(python::to_str(value)?.trim_matches(strips).to_owned())
}

fn escape(state: &State, value: &Value) -> Result<String, Error> {
    let mut escaped = String::new();
    for c in python::to_str(value)?.chars() {
        match marks::original(state, c) {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '\'' => escaped += "&#39;",
            '"' => escaped += "&#34;",
            _ => escaped.push(c),
        }
    }
    Ok(escaped)
}

fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

fn is_sequence(value: &Value) -> bool {
    value.is_undefined() || matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
}
