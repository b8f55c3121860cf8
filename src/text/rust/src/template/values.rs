//! JSON to the values that a template sees: key order kept, and the user's special-token text marked.
use minijinja::Value;
use serde_json::Value as Json;

use super::marks::Marker;

pub fn to_template(json: &Json, marker: &Marker) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::from(value),
            (None, Some(value)) => Value::from(value),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(marker.mark(text)),
        Json::Array(items) => Value::from(items.iter().map(|item| to_template(item, marker)).collect::<Vec<_>>()),
        Json::Object(entries) => {
            Value::from_pairs(entries.iter().map(|(key, value)| (marker.mark(key), member(key, value, marker))))
        }
    }
}

/// Templates build special tokens out of roles (`<|{{ role }}|>`), so a role that is a plain word stays as it is.
fn member(key: &str, value: &Json, marker: &Marker) -> Value {
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    match value {
        Json::String(text) if key == "role" && is_word(text) => Value::from(text.as_str()),
        _ => to_template(value, marker),
    }
}
