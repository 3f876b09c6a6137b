//! jq programs: compiled when the flow is read, run once a record.
//!
//! The record is there as `$key`, `$topic`, `$partition`, `$offset`, `$timestamp` (milliseconds since 1970) and
//! `$headers` (an object; the last of a name counts). What reaches outside the record is left out: `env`, `halt`,
//! `input`, `debug`, `stderr`, `now`, `localtime`.

use std::fmt;

use jaq_core::{
    Compiler, Ctx, Vars, compile, data,
    load::{self, Arena, File, Loader, lex},
    native, unwrap_valr,
};
use jaq_json::{Map, Val};

use super::{Step, json};
use crate::{Failure, Record};

type Data = data::JustLut<Val>;

/// The record's own, in the order in which [`Globals`] lists their values.
const GLOBALS: [&str; 6] = ["$key", "$topic", "$partition", "$offset", "$timestamp", "$headers"];

/// What reaches outside the record.
const LEFT_OUT: &[&str] = &[
    "debug",
    "debug_empty",
    "env",
    // Replaced by ours.
    "fromjson",
    "halt",
    "halt_error",
    "localtime",
    "now",
    "stderr",
    "stderr_empty",
    "strflocaltime",
];

/// A compiled program.
pub struct Program {
    filter: jaq_core::Filter<Data>,
    code: String,
}

/// Why a program does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// What may help; may be empty.
    pub hint: String,
}

impl Program {
    /// Compiles a program.
    ///
    /// # Errors
    /// If it is no jq, or names something that is not there.
    pub fn compile(code: &str) -> Result<Self, Fault> {
        let inside = |name: &str| !LEFT_OUT.contains(&name);
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let funs = funs.filter(|it| inside(it.0)).chain([from_json()]);
        let arena = Arena::default();
        let loader = Loader::new(defs.filter(|it| inside(it.name)));
        let modules =
            loader.load(&arena, File { code, path: () }).map_err(|errors| unloadable(code, errors))?;
        let compiler = Compiler::default().with_funs(funs).with_global_vars(GLOBALS);
        let filter = compiler.compile(modules).map_err(undefined)?;
        Ok(Self { filter, code: code.to_owned() })
    }

    /// Runs to the end, and adds the results.
    ///
    /// # Errors
    /// If the program fails, or there are more than `most` results in all.
    pub(super) fn run(
        &self,
        globals: &Globals,
        input: Val,
        most: usize,
        results: &mut Vec<Val>,
    ) -> Result<(), Failure> {
        for result in self.results(globals, input) {
            if results.len() == most {
                return Err(Failure::new(format!("`{}` gives more than {most} results", self.code)));
            }
            results.push(result?);
        }
        Ok(())
    }

    /// Whether the first result is neither false nor null; no result counts as false.
    ///
    /// # Errors
    /// If the program fails.
    pub(super) fn holds(&self, globals: &Globals, input: Val) -> Result<bool, Failure> {
        let first = self.results(globals, input).next().transpose()?;
        Ok(!matches!(first, None | Some(Val::Null | Val::Bool(false))))
    }

    fn results<'a>(
        &'a self,
        globals: &Globals,
        input: Val,
    ) -> impl Iterator<Item = Result<Val, Failure>> + use<'a> {
        let context = Ctx::<Data>::new(&self.filter.lut, Vars::new(globals.0.clone()));
        let failed = |error: jaq_json::Error| Failure::new(format!("`{}` failed: {error}", self.code));
        self.filter.id.run((context, input)).map(move |result| unwrap_valr(result).map_err(failed))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "jq `{}`", self.code)
    }
}

/// `fromjson`, which takes one document, and none that nests too deep for the stack.
fn from_json() -> native::Fun<Data> {
    native::run(("fromjson", native::v(0), |(_, input)| native::bome(parse(&input))))
}

fn parse(input: &Val) -> Result<Val, jaq_json::Error> {
    let (Val::TStr(bytes) | Val::BStr(bytes)) = input else {
        return Err(jaq_core::Error::str(format_args!("{input} is no string to read JSON from")));
    };
    let refused = |fault: &dyn fmt::Display| jaq_core::Error::str(format_args!("no JSON: {fault}"));
    let text = std::str::from_utf8(bytes).map_err(|error| refused(&error))?;
    json::check(text).map_err(|fault| refused(&fault))?;
    jaq_json::read::parse_single(text.as_bytes()).map_err(|error| refused(&error))
}

/// The values of the variables that a record brings.
pub(super) struct Globals([Val; GLOBALS.len()]);

impl Globals {
    /// Those of a record; headers only where a step asks for them.
    pub(super) fn of(record: &Record, steps: &[Step]) -> Self {
        let asked = steps.iter().any(|step| step.program().code.contains("$headers"));
        let whole = |number: i64| Val::Num(jaq_json::Num::from_integral(number));
        Self([
            record.key().map_or(Val::Null, |key| Val::utf8_str(key.to_vec())),
            Val::utf8_str(record.topic().as_bytes().to_vec()),
            whole(i64::from(record.partition())),
            whole(record.offset()),
            whole(record.timestamp()),
            if asked { headers(record) } else { Val::Null },
        ])
    }
}

fn headers(record: &Record) -> Val {
    let mut map = Map::default();
    for (name, value) in record.headers() {
        let value = value.map_or(Val::Null, |value| Val::utf8_str(value.to_vec()));
        map.insert(Val::utf8_str(name.to_vec()), value);
    }
    Val::obj(map)
}

/// The first of what the loader found wrong.
fn unloadable(code: &str, errors: load::Errors<&str, ()>) -> Fault {
    let place = |rest: &str| match code.len().checked_sub(rest.len()) {
        Some(at) if !rest.is_empty() => format!("at `{}`", code[at..].chars().take(20).collect::<String>()),
        _ => "at the end".to_owned(),
    };
    let message = match errors.into_iter().next().map(|(_, error)| error) {
        Some(load::Error::Lex(faults)) => {
            faults.first().map(|(expected, rest)| format!("expected {} {}", token(expected), place(rest)))
        }
        Some(load::Error::Parse(faults)) => {
            faults.first().map(|(expected, rest)| format!("expected {} {}", expected.as_str(), place(rest)))
        }
        Some(load::Error::Io(_)) => Some("modules cannot be loaded here".to_owned()),
        None => None,
    };
    Fault { message: message.unwrap_or_else(|| "not understood".to_owned()), hint: String::new() }
}

/// The loader's own words, which do not go for every delimiter.
fn token(expected: &lex::Expect<&str>) -> &'static str {
    match expected {
        lex::Expect::Delim("(" | "[" | "{" | "\"") => expected.as_str(),
        lex::Expect::Delim(_) => "closing delimiter",
        _ => expected.as_str(),
    }
}

fn undefined(errors: compile::Errors<&str, ()>) -> Fault {
    let Some((name, kind)) = errors.into_iter().flat_map(|(_, errors)| errors).next() else {
        return Fault { message: "not understood".to_owned(), hint: String::new() };
    };
    let message = format!("there is no {} `{name}`", kind.as_str());
    let hint = if LEFT_OUT.contains(&name) || name.starts_with("input") {
        "what reaches outside the record is left out".to_owned()
    } else if name.starts_with('$') {
        format!("there are {}", GLOBALS.join(", "))
    } else {
        String::new()
    };
    Fault { message, hint }
}
