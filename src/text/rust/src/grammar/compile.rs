//! From a specification to a grammar that answers can begin with.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex};

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use llguidance::TokenParser;
use serde_json::{json, Map, Value};

use super::limits::{bracket_depth, has_attribute, json_depth, lark_code, Limits};
use super::vocabulary::Vocabulary;
use super::words;

/// White space between the tokens of JSON: what people write, and an end to it. A model that has begun with
/// it must not go on with nothing else.
const WHITE_SPACE: &str = r"[\x20\x09]{1,32}|\r?\n[\x20\x09]{0,32}";

/// The crate's way to pass options inside of a schema.
const OPTIONS_KEY: &str = "x-guidance";

/// Recursion over a specification is bounded, but by more than the stack of an ordinary thread has.
const STACK_BYTES: usize = 256 << 20;

/// Compilations at once, those included that nobody waits for any more.
const MAX_COMPILATIONS: usize = 4;
static NUM_COMPILATIONS: AtomicUsize = AtomicUsize::new(0);

pub struct Grammar {
    /// At the beginning of an answer. Its copies share the tables of the lexer, which grow as they are used.
    parser: Mutex<TokenParser>,
    num_spec_bytes: usize,
    num_bytes: AtomicUsize,
    has_failed: AtomicBool,
}

impl Grammar {
    pub fn parser(&self) -> Result<TokenParser, String> {
        let parser = self.parser.lock().map_err(|_| "the grammar failed before".to_string())?;
        Ok(parser.clone())
    }

    /// As of the last `measure`.
    pub fn num_bytes(&self) -> usize {
        self.num_bytes.load(Ordering::Relaxed)
    }

    /// Of the lexer's tables as the crate counts them, and about those of the rules, which it does not count.
    pub fn measure(&self) {
        const BYTES_OF_ANY: usize = 64 << 10;
        const BYTES_OF_EACH: usize = 64;
        let Ok(parser) = self.parser.lock() else { return };
        let num_table_bytes = parser.parser.lexer_stats().num_bytes;
        self.num_bytes.store(BYTES_OF_ANY + BYTES_OF_EACH * self.num_spec_bytes + num_table_bytes, Ordering::Relaxed);
    }

    /// An answer has met a limit, perhaps of the shared tables: those that come had better compile it anew.
    pub fn fail(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }
}

/// `schemas`: a JSON list of [name, schema as text]. Without Lark, the only schema is the answer's. Gives up
/// after a while: the compilation then ends by itself, within the crate's limits, and nobody hears of it.
pub fn compile(vocabulary: &Arc<Vocabulary>, lark: &str, schemas: &str, limits: Limits) -> Result<Grammar, String> {
    let specification = read(lark, schemas, limits.max_depth)?;
    let permit = Permit::take().ok_or("the server compiles as many grammars as it can: try again later")?;
    let (sender, receiver) = mpsc::channel();
    let vocabulary = vocabulary.clone();
    let num_spec_bytes = lark.len() + schemas.len();
    let work = move || {
        let result = build(&vocabulary, specification, num_spec_bytes);
        drop(permit);
        let _ = sender.send(result); // perhaps to nobody
    };
    let thread = std::thread::Builder::new().name("grammar".into()).stack_size(STACK_BYTES);
    thread.spawn(work).map_err(|e| format!("no thread to compile a grammar: {e}"))?;
    match receiver.recv_timeout(limits.max_compile_time) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!(
            "it takes more than {} ms to compile: make it smaller, with fewer and smaller counts of repetition",
            limits.max_compile_time.as_millis()
        )),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err("internal error: the compilation failed".to_string()),
    }
}

struct Permit;

impl Permit {
    fn take() -> Option<Permit> {
        let take = |num: usize| (num < MAX_COMPILATIONS).then_some(num + 1);
        NUM_COMPILATIONS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok().map(|_| Permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        NUM_COMPILATIONS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn read(lark: &str, schemas: &str, max_depth: usize) -> Result<TopLevelGrammar, String> {
    let code = lark_code(lark);
    let depth = bracket_depth(&code);
    if depth > max_depth {
        return Err(format!("expected brackets nested at most {max_depth} deep, found {depth}"));
    }
    if has_attribute(&code, "temperature") {
        return Err("temperature= in a rule is not supported: give the request's".to_string());
    }
    let schemas: Vec<(String, String)> = serde_json::from_str(schemas).map_err(|e| e.to_string())?;
    let mut grammars = Vec::new();
    if !lark.is_empty() {
        grammars.push(GrammarWithLexer::from_lark(lark.to_string()));
    }
    for (name, schema) in schemas {
        let schema = with_options(read_schema(&schema, max_depth)?)?;
        grammars.push(GrammarWithLexer { name: Some(name), ..GrammarWithLexer::from_json_schema(schema) });
    }
    Ok(TopLevelGrammar { grammars, max_tokens: None })
}

fn read_schema(text: &str, max_depth: usize) -> Result<Value, String> {
    // The crate's own bound comes first for texts that are deeper than any schema can be.
    let schema: Value = serde_json::from_str(text).map_err(|e| format!("the schema is not JSON: {e}"))?;
    let depth = json_depth(&schema);
    if depth > max_depth {
        return Err(format!("expected a schema nested at most {max_depth} deep, found {depth}"));
    }
    Ok(schema)
}

fn with_options(schema: Value) -> Result<Value, String> {
    let mut members = match schema {
        Value::Object(members) => members,
        Value::Bool(true) => Map::new(),
        Value::Bool(false) => return Err("the schema is false, which no answer fulfils".to_string()),
        other => return Err(format!("expected a schema (an object or true), found {}", kind_of(&other))),
    };
    if members.contains_key(OPTIONS_KEY) {
        return Err(format!("Unimplemented keys: [\"{OPTIONS_KEY}\"]"));
    }
    members.insert(OPTIONS_KEY.to_string(), json!({ "whitespace_pattern": WHITE_SPACE }));
    Ok(Value::Object(members))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn build(vocabulary: &Vocabulary, grammar: TopLevelGrammar, num_spec_bytes: usize) -> Result<Grammar, String> {
    let mut parser = vocabulary.factory.create_parser(grammar).map_err(words)?;
    if parser.parser.grammar().lexer_spec().has_stop {
        return Err("stop= in a rule is not supported, whose text would be hidden: use suffix=".to_string());
    }
    parser.start_without_prompt();
    // A grammar that allows nothing at all is the client's mistake, not the answer's.
    parser.clone().compute_mask().map_err(|e| format!("no answer can begin: {}", words(e)))?;
    let grammar = Grammar {
        parser: Mutex::new(parser),
        num_spec_bytes,
        num_bytes: AtomicUsize::new(0),
        has_failed: AtomicBool::new(false),
    };
    grammar.measure();
    Ok(grammar)
}
