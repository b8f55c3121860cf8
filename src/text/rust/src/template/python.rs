//! Values as Python prints them.
use minijinja::value::ValueKind;
use minijinja::{Error, Value};

/// Python's str().
pub fn to_str(value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None if value.is_undefined() => Ok(String::new()),
        None => to_repr(value),
    }
}

/// Python's repr().
pub fn to_repr(value: &Value) -> Result<String, Error> {
    let items = |open: &str, close: &str| -> Result<String, Error> {
        let items: Vec<String> = value.try_iter()?.map(|item| to_repr(&item)).collect::<Result<_, _>>()?;
        let comma = if open == "(" && items.len() == 1 { "," } else { "" };
        Ok(format!("{open}{}{comma}{close}", items.join(", ")))
    };
    match value.kind() {
        ValueKind::Undefined => Ok("Undefined".to_owned()),
        ValueKind::String => Ok(string_repr(value.as_str().unwrap_or_default())),
        ValueKind::Number if !value.is_integer() => Ok(f64::try_from(value.clone()).map(float_repr)?),
        ValueKind::Seq if value.is_tuple() => items("(", ")"),
        ValueKind::Seq => items("[", "]"),
        ValueKind::Map => {
            let entry = |key: Value| Ok(format!("{}: {}", to_repr(&key)?, to_repr(&value.get_item(&key)?)?));
            let entries: Vec<String> = value.try_iter()?.map(entry).collect::<Result<_, Error>>()?;
            Ok(format!("{{{}}}", entries.join(", ")))
        }
        _ => Ok(value.to_string()),
    }
}

pub fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let shortest = format!("{value:e}"); // d.ddde-7
    let (digits, exponent) = shortest.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("an integer");
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn string_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut repr = String::with_capacity(text.len() + 2);
    repr.push(quote);
    for c in text.chars() {
        match c {
            '\\' => repr += "\\\\",
            '\n' => repr += "\\n",
            '\r' => repr += "\\r",
            '\t' => repr += "\\t",
            c if c == quote => repr.extend(['\\', c]),
            c if is_printable(c) => repr.push(c),
            c => repr += &escape(c),
        }
    }
    repr.push(quote);
    repr
}

fn escape(c: char) -> String {
    match c as u32 {
        code @ 0..=0xFF => format!("\\x{code:02x}"),
        code @ 0x100..=0xFFFF => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

/// Not quite str.isprintable(): format, private and unassigned characters pass, and so do our marks.
fn is_printable(c: char) -> bool {
    c == ' '
        || !(c.is_control()
            || c.is_whitespace()
            || matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'))
}

pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
