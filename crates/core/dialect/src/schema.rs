//! How much a JSON schema leaves open: what vendors want to know before they hold a model to it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::value::RawValue;

use crate::Unsupported;
use crate::fields::Fields;

/// How much is left open by a schema: as much as by the one of its parts that leaves most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leaves {
    /// Nothing, said in words of OpenAI's strict mode: an object has all of its properties, and no others.
    Nothing,
    /// Which of its properties an object has, or something that strict mode has no word for; an object has no others.
    Something,
    /// What else an object has.
    Anything,
}

/// The most schemas within each other that are looked at: more than any vendor takes.
const DEPTH_MAX: usize = 32;

/// One of these stands in every schema that strict mode takes.
const KINDS: [&str; 5] = ["type", "anyOf", "$ref", "enum", "const"];

/// Words of strict mode beside those that schemas stand in.
const STRICT: [&str; 15] = [
    "$schema",
    "title",
    "description",
    "$ref",
    "enum",
    "const",
    "pattern",
    "format",
    "multipleOf",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
];

/// How much a schema leaves open; one that can't be read might leave anything.
pub(crate) fn leaves(schema: &RawValue) -> Leaves {
    let Ok(whole) = look(schema, 0) else { return Leaves::Anything };
    // Strict mode wants an object at the top.
    let fields = Fields::parse(schema.get(), String::new());
    let is_object = fields.is_ok_and(|mut fields| fields.raw("type").is_some_and(|kind| kind.get() == "\"object\""));
    if is_object { whole } else { whole.max(Leaves::Something) }
}

fn look(schema: &RawValue, depth: usize) -> Result<Leaves, Unsupported> {
    if depth > DEPTH_MAX {
        return Ok(Leaves::Anything);
    }
    if matches!(schema.get(), "true" | "false") {
        return Ok(Leaves::Something);
    }
    let mut fields = Fields::parse(schema.get(), String::new())?;
    let mut most = if KINDS.iter().any(|kind| fields.has(kind)) { Leaves::Nothing } else { Leaves::Something };
    let (kind, closed) = (fields.raw("type"), fields.raw("additionalProperties"));
    let (properties, required) = (entries(&mut fields, "properties")?, fields.list("required")?);
    // Several types are a list of their names.
    if !properties.is_empty() || kind.is_some_and(|kind| kind.get().contains("\"object\"")) {
        if closed.is_none_or(|closed| closed.get() != "false") {
            return Ok(Leaves::Anything);
        }
        let mut optional: BTreeSet<&str> = properties.iter().map(|(name, _)| name.as_ref()).collect();
        for name in required {
            optional.remove(Fields::as_text(name, "required")?.as_ref());
        }
        if !optional.is_empty() {
            most = most.max(Leaves::Something);
        }
    }
    let mut within: Vec<&RawValue> = properties.into_iter().map(|(_, schema)| schema).collect();
    for name in ["$defs", "definitions"] {
        within.extend(entries(&mut fields, name)?.into_iter().map(|(_, schema)| schema));
    }
    within.extend(fields.raw("items"));
    within.extend(fields.list("anyOf")?);
    for name in STRICT {
        _ = fields.raw(name);
    }
    // The rest strict mode has no word for.
    if fields.close().is_err() {
        most = most.max(Leaves::Something);
    }
    for name in ["patternProperties", "dependentSchemas"] {
        within.extend(entries(&mut fields, name)?.into_iter().map(|(_, schema)| schema));
    }
    for name in ["allOf", "oneOf", "prefixItems"] {
        within.extend(fields.list(name)?);
    }
    within.extend(["not", "if", "then", "else", "contains"].into_iter().filter_map(|name| fields.raw(name)));
    within.into_iter().try_fold(most, |most, schema| Ok(most.max(look(schema, depth + 1)?)))
}

/// The schemas that stand in a field by their names.
fn entries<'a>(fields: &mut Fields<'a>, name: &str) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, Unsupported> {
    Ok(fields.object(name)?.map(Fields::into_entries).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(schema: &Value, want: Leaves) {
        let raw = RawValue::from_string(schema.to_string()).expect("JSON");
        assert_eq!(leaves(&raw), want, "{schema}");
    }

    /// An object with one property, which is required.
    fn closed(property: &Value) -> Value {
        json!({"type": "object", "properties": {"type": property}, "required": ["type"], "additionalProperties": false})
    }

    #[test]
    fn a_schema_leaves_as_much_open_as_any_part_of_it() {
        let text = json!({"type": "string", "description": "d", "format": "date"});
        let open = json!({"type": "object", "properties": {"a": text}, "required": ["a"]});
        let optional = json!({"type": "object", "properties": {"a": text, "b": text}, "required": ["a"], "additionalProperties": false});
        for (part, want) in [
            (text.clone(), Leaves::Nothing),
            (closed(&text), Leaves::Nothing),
            (json!({"type": ["string", "null"]}), Leaves::Nothing),
            (json!({"type": "string", "default": "x"}), Leaves::Something),
            (json!({"type": "string", "minLength": 1}), Leaves::Something),
            (json!({}), Leaves::Something),
            (json!(true), Leaves::Something),
            (optional, Leaves::Something),
            (json!({"type": "object"}), Leaves::Anything),
            (json!({"type": ["object", "null"]}), Leaves::Anything),
            (json!({"properties": {"a": text}}), Leaves::Anything),
            (json!({"type": "object", "additionalProperties": text}), Leaves::Anything),
            (open, Leaves::Anything),
            (json!("nonsense"), Leaves::Anything),
        ] {
            check(&closed(&part), want);
            check(&closed(&json!({"type": "array", "items": part})), want);
            check(&closed(&json!({"anyOf": [text, part]})), want);
            let mut whole = closed(&json!({"$ref": "#/$defs/x"}));
            whole["$defs"] = json!({"x": part});
            check(&whole, want);
            check(&closed(&json!({"type": "string", "allOf": [part]})), want.max(Leaves::Something));
            check(&closed(&json!({"type": "string", "not": part})), want.max(Leaves::Something));
        }
    }

    #[test]
    fn only_an_object_leaves_nothing_at_the_top() {
        check(&closed(&json!({"type": "integer"})), Leaves::Nothing);
        check(&json!({"type": "object", "additionalProperties": false}), Leaves::Nothing);
        check(&json!({"type": "array", "items": {"type": "string"}}), Leaves::Something);
        check(&json!({"anyOf": [closed(&json!({"type": "integer"}))]}), Leaves::Something);
    }

    #[test]
    fn a_schema_deeper_than_any_vendor_takes_is_not_followed() {
        let nested = |depth: usize| (0..depth).fold(json!({"type": "string"}), |within, _| json!({"type": "array", "items": within}));
        check(&closed(&nested(DEPTH_MAX - 1)), Leaves::Nothing);
        check(&closed(&nested(DEPTH_MAX)), Leaves::Anything);
        let deep = format!("{}1{}", "{\"not\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(leaves(&RawValue::from_string(deep).expect("JSON")), Leaves::Anything);
    }
}
