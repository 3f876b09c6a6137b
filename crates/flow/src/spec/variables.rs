//! `${NAME}` and `${NAME:-default}` in the values of a flow file; `$${` stands for `${` itself.
//!
//! Values are replaced after the file was read, so a variable can never change the file's structure.

use super::{
    error::{Error, Source},
    tree::{Node, Value},
};

/// Replaces variables in every text below `node`. A value that is one variable and nothing else may stand for
/// a number or a truth value too.
pub(crate) fn substitute(
    source: &Source,
    node: &mut Node,
    variables: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Error> {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => {
            let replaced = replace(text, variables).map_err(|fault| fault.at(source, node))?;
            node.value = replaced;
        }
        Value::List(items) => items.iter_mut().try_for_each(|it| substitute(source, it, variables))?,
        Value::Map(entries) => {
            entries.iter_mut().try_for_each(|(_, it)| substitute(source, it, variables))?;
        }
        _ => (),
    }
    Ok(())
}

enum Fault {
    Unset(String),
    Unclosed,
}

impl Fault {
    fn at(self, source: &Source, node: &Node) -> Error {
        match self {
            Self::Unset(name) => {
                let hint = format!("set it, or write `${{{name}:-default}}`");
                source.error(node.span, format!("the variable `{name}` is not set"), hint)
            }
            Self::Unclosed => source.error(node.span, "`${` without its `}`", "write `$${` for a plain `${`"),
        }
    }
}

fn replace(text: &str, variables: &dyn Fn(&str) -> Option<String>) -> Result<Value, Fault> {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            replaced.push_str(before);
            replaced.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        replaced.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = inside.find('}').ok_or(Fault::Unclosed)?;
        let (name, default) = match inside[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inside[..end], None),
        };
        // As in a shell, `:-` stands in for an empty variable too.
        let set = variables(name).filter(|it| default.is_none() || !it.is_empty());
        let value = set.or(default.map(str::to_owned)).ok_or_else(|| Fault::Unset(name.to_owned()))?;
        replaced.push_str(&value);
        rest = &inside[end + 1..];
    }
    replaced.push_str(rest);
    Ok(Value::Replaced(replaced))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let variables = |name: &str| match name {
            "HOST" => Some("kafka".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let found = match replace(text, &variables) {
            Ok(Value::Replaced(text)) => Ok(text),
            Ok(other) => panic!("{other:?}"),
            Err(Fault::Unset(name)) => Err(name),
            Err(Fault::Unclosed) => Err("}".to_owned()),
        };
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn variables_are_replaced_wherever_they_stand() {
        check("${HOST}", Ok("kafka"));
        check("a-${HOST}:9092,${PORT:-b}", Ok("a-kafka:9092,b"));
        check("${EMPTY:-x}${EMPTY}", Ok("x"));
        check("${GONE:-}", Ok(""));
        check("$${HOST} costs $5", Ok("${HOST} costs $5"));
        check("${HOST}$${x}", Ok("kafka${x}"));
    }

    #[test]
    fn what_is_not_set_or_not_closed_is_refused() {
        check("${GONE}", Err("GONE"));
        check("${HOST", Err("}"));
    }

    #[test]
    fn what_a_variable_holds_is_not_replaced_again() {
        let looped = replace("${A}", &|_| Some("${A}".into()));
        assert!(matches!(looped, Ok(Value::Replaced(text)) if text == "${A}"));
    }
}
