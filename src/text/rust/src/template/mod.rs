//! A model's chat template, rendered as transformers' apply_chat_template renders it.
mod environment;
mod filters;
mod json;
mod literals;
mod marks;
mod methods;
mod output;
mod python;
mod rewrite;
mod strings;
mod tags;
mod values;

use minijinja::{Environment, Value};
use serde_json::{Map, Value as Json};

use marks::{Guard, Rendered};

const NAME: &str = "chat_template";

pub struct Template {
    environment: Environment<'static>,
    variables: Map<String, Json>,
    guard: Guard,
}

impl Template {
    /// `setup`: {"source": the Jinja text, "variables": {"bos_token": ...}: what the tokenizer gives to the
    /// template, "special_tokens": [...]: texts that only the template itself may write}.
    pub fn from_setup(setup: &str) -> Result<Template, String> {
        let mut setup: Map<String, Json> = serde_json::from_str(setup).map_err(|e| e.to_string())?;
        let source = setup.get("source").and_then(Json::as_str).ok_or("no template source")?;
        let source = rewrite::for_minijinja(source);
        let special_tokens = setup.get("special_tokens").and_then(Json::as_array).into_iter().flatten();
        let special_tokens = special_tokens.filter_map(Json::as_str).map(str::to_owned).collect();
        let guard = Guard::new(special_tokens, &source);
        let mut environment = environment::new();
        environment.add_template_owned(NAME, source).map_err(|e| words(&e))?;
        let variables = match setup.remove("variables") {
            Some(Json::Object(variables)) => variables,
            _ => Map::new(),
        };
        Ok(Template { environment, variables, guard })
    }

    /// `input`: a JSON object of the variables that the client gives. They cannot replace the tokenizer's.
    pub fn render(&self, input: &str) -> Result<Rendered, String> {
        let input: Json = serde_json::from_str(input).map_err(|e| e.to_string())?;
        let marker = self.guard.marker(&input)?;
        let given = input.as_object().ok_or("the input is not an object")?;
        let mut context: Vec<(Value, Value)> = vec![marker.variable()];
        for (name, value) in given.iter().filter(|(name, _)| !self.variables.contains_key(*name)) {
            context.push((Value::from(name.as_str()), values::to_template(value, &marker)));
        }
        for (name, value) in &self.variables {
            context.push((Value::from(name.as_str()), values::to_template(value, &marks::Marker::none())));
        }
        let context = Value::from_pairs(context);
        let template = self.environment.get_template(NAME).map_err(|e| words(&e))?;
        let mut text = output::Capped::new();
        template.render_captured_to(context, &mut text).map_err(|e| words(&e))?;
        Ok(marker.unmark(text.into_string()))
    }
}

/// The template's own words where it raised, else what minijinja says, with the place and the causes.
fn words(error: &minijinja::Error) -> String {
    let mut words = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    if let Some(raised) = environment::raised_words(error) {
        return raised;
    }
    if let Some(line) = error.line() {
        words += &format!(" (line {line} of the chat template)");
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        words += &format!(": {inner}");
        cause = inner.source();
    }
    words
}
