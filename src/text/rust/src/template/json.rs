//! `tojson` as transformers defines it: Python's json.dumps without the escapes for HTML.
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::{marks, python};

/// What json.dumps takes.
struct Dump<'a> {
    state: &'a State<'a, 'a>,
    ensure_ascii: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
}

pub fn tojson(state: &State, value: &Value, options: Kwargs) -> Result<Value, Error> {
    let dump = Dump::new(state, &options)?;
    options.assert_all_used()?;
    let mut out = String::new();
    dump.write(value, 0, &mut out)?;
    Ok(Value::from(out))
}

impl<'a> Dump<'a> {
    fn new(state: &'a State, options: &Kwargs) -> Result<Dump<'a>, Error> {
        let indent = match options.get::<Option<Value>>("indent")? {
            Some(text) if text.as_str().is_some() => text.as_str().map(str::to_owned),
            Some(count) if !count.is_none() => Some(" ".repeat(i64::try_from(count)?.clamp(0, 64) as usize)),
            _ => None,
        };
        let (mut item, mut key) = (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned());
        if let Some(separators) = options.get::<Option<Value>>("separators")?.filter(|given| !given.is_none()) {
            item = python::to_str(&separators.get_item_by_index(0)?)?;
            key = python::to_str(&separators.get_item_by_index(1)?)?;
        }
        Ok(Dump {
            state,
            ensure_ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
            indent,
            item_separator: item,
            key_separator: key,
            sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        })
    }

    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => *out += "null",
            ValueKind::Bool => *out += if value.is_true() { "true" } else { "false" },
            ValueKind::Number => *out += &number(value)?,
            ValueKind::String => self.write_string(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq => self.write_items(value, depth, out)?,
            ValueKind::Map => self.write_entries(value, depth, out)?,
            kind => {
                let problem = format!("an object of type {kind} is not JSON serializable");
                return Err(Error::new(ErrorKind::BadSerialization, problem));
            }
        }
        Ok(())
    }

    fn write_items(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        out.push('[');
        let mut empty = true;
        for item in value.try_iter()? {
            self.begin_item(&mut empty, depth, out);
            self.write(&item, depth + 1, out)?;
        }
        self.end(empty, depth, out);
        out.push(']');
        Ok(())
    }

    fn write_entries(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.sort_keys {
            keys.sort();
        }
        out.push('{');
        let mut empty = true;
        for key in keys {
            self.begin_item(&mut empty, depth, out);
            self.write_key(&key, out)?;
            *out += &self.key_separator;
            self.write(&value.get_item(&key)?, depth + 1, out)?;
        }
        self.end(empty, depth, out);
        out.push('}');
        Ok(())
    }

    fn write_key(&self, key: &Value, out: &mut String) -> Result<(), Error> {
        match key.as_str() {
            Some(text) => self.write_string(text, out),
            None => {
                out.push('"');
                self.write(key, 0, out)?;
                out.push('"');
            }
        }
        Ok(())
    }

    fn begin_item(&self, empty: &mut bool, depth: usize, out: &mut String) {
        if !*empty {
            *out += &self.item_separator;
        }
        *empty = false;
        self.new_line(depth + 1, out);
    }

    fn end(&self, empty: bool, depth: usize, out: &mut String) {
        if !empty {
            self.new_line(depth, out);
        }
    }

    fn new_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            *out += &indent.repeat(depth);
        }
    }

    fn write_string(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match marks::original(self.state, c) {
                '"' => *out += "\\\"",
                '\\' => *out += "\\\\",
                '\n' => *out += "\\n",
                '\r' => *out += "\\r",
                '\t' => *out += "\\t",
                '\u{8}' => *out += "\\b",
                '\u{c}' => *out += "\\f",
                original if original < ' ' || (self.ensure_ascii && !original.is_ascii()) => push_escape(original, out),
                _ => out.push(c),
            }
        }
        out.push('"');
    }
}

fn push_escape(c: char, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        *out += &format!("\\u{unit:04x}");
    }
}

fn number(value: &Value) -> Result<String, Error> {
    if value.is_integer() {
        return Ok(value.to_string());
    }
    let number = f64::try_from(value.clone())?;
    Ok(match number {
        n if n.is_nan() => "NaN".to_owned(),
        n if n.is_infinite() => if n > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        n => python::float_repr(n),
    })
}
