//! YAML as a tree that knows its lines: the parser's events, with anchors and merge keys resolved, within limits.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::error::ImportError;

/// Bytes that a config may have at most.
const BYTES_MAX: usize = 4 << 20;
/// Nodes that a config may have at most, aliases written out: no few lines may stand for a billion.
const NODES_MAX: usize = 200_000;
/// How deep lists and tables may lie in one another.
const DEPTH_MAX: usize = 64;

/// A node and the line on which it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
    /// Nodes in it, itself included.
    size: usize,
    /// How deep the lists and tables in it lie, itself included.
    depth: usize,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing: `key:`, `~` or `null`.
    Null,
    /// A text or a number, as it is written.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A table, in its order.
    Table(Vec<(String, Node)>),
}

impl Node {
    fn new(line: usize, value: Value) -> Self {
        let (mut size, mut depth) = (1, usize::from(matches!(value, Value::List(_) | Value::Table(_))));
        let mut add = |it: &Self| {
            size += it.size;
            depth = depth.max(it.depth + 1);
        };
        match &value {
            Value::Null | Value::Text(_) => {}
            Value::List(items) => items.iter().for_each(&mut add),
            Value::Table(rows) => rows.iter().for_each(|(_, it)| add(it)),
        }
        Self { line, value, size, depth }
    }

    /// The value behind a key of a table.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.rows().iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// The value behind a key of a table, unless it is nothing.
    pub(crate) fn stated(&self, name: &str) -> Option<&Self> {
        self.get(name).filter(|it| !matches!(it.value, Value::Null))
    }

    /// The rows of a table; of anything else none.
    pub(crate) fn rows(&self) -> &[(String, Self)] {
        if let Value::Table(rows) = &self.value { rows } else { &[] }
    }

    /// The items of a list; of anything else none.
    pub(crate) fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// A text or number, as written, when there is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text.as_str()) } else { None }
    }
}

/// A list or table that is still open.
struct Open {
    line: usize,
    anchor: usize,
    kind: Opened,
}

enum Opened {
    List(Vec<Node>),
    /// The rows, those that `<<` merges, and the key that waits for its value.
    Table(Rows, Rows, Option<(usize, String)>),
}

type Rows = Vec<(String, Node)>;

impl Open {
    /// The node, once it is closed; what was merged gives way to what stands in the table itself.
    fn close(self) -> Node {
        let value = match self.kind {
            Opened::List(items) => Value::List(items),
            Opened::Table(mut rows, merged, _) => {
                for (key, node) in merged {
                    if !rows.iter().any(|(name, _)| *name == key) {
                        rows.push((key, node));
                    }
                }
                Value::Table(rows)
            }
        };
        Node::new(self.line, value)
    }
}

/// Reads the first document of a text.
pub(crate) fn read(text: &str) -> Result<Node, ImportError> {
    if text.len() > BYTES_MAX {
        return Err(ImportError::whole(format!("the config has {} bytes", text.len()), format!("a config has at most {BYTES_MAX} bytes")));
    }
    let mut reading = Reading::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let message = format!("the config is not YAML: {}", error.info());
            ImportError::at(
                error.marker().line(),
                message,
                "put the YAML right here; a tab can't indent, and a text with `: ` in it wants quotes",
            )
        })?;
        if let Some(root) = reading.take(event, span.start.line())? {
            return Ok(root);
        }
    }
    Ok(Node::new(1, Value::Null))
}

#[derive(Default)]
struct Reading {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl Reading {
    /// Takes one event; the root, once it is whole.
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<Option<Node>, ImportError> {
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                (Node::new(line, if null { Value::Null } else { Value::Text(text.into_owned()) }), anchor)
            }
            Event::SequenceStart(anchor, _) => return self.begin(line, anchor, Opened::List(Vec::new())).map(|()| None),
            Event::MappingStart(anchor, _) => {
                return self.begin(line, anchor, Opened::Table(Vec::new(), Vec::new(), None)).map(|()| None);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(None) };
                let anchor = open.anchor;
                (open.close(), anchor)
            }
            Event::Alias(anchor) => {
                let hint = "write the anchor, as in `&name`, before the alias";
                let node = self.anchors.get(&anchor).ok_or_else(|| ImportError::at(line, "the alias names no anchor", hint))?;
                if self.open.len() + node.depth > DEPTH_MAX {
                    return Err(too_deep(line));
                }
                self.nodes = self.nodes.saturating_add(node.size);
                (node.clone(), 0)
            }
            Event::DocumentEnd => return Ok(Some(Node::new(line, Value::Null))),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => return Ok(None),
        };
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > NODES_MAX {
            return Err(ImportError::at(
                line,
                "the config is too large",
                format!("a config has at most {NODES_MAX} values, aliases written out"),
            ));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node, line)
    }

    fn begin(&mut self, line: usize, anchor: usize, kind: Opened) -> Result<(), ImportError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(line));
        }
        self.open.push(Open { line, anchor, kind });
        Ok(())
    }

    /// Puts a node where it belongs: into what is open, or it is the root.
    fn place(&mut self, node: Node, line: usize) -> Result<Option<Node>, ImportError> {
        let Some(open) = self.open.last_mut() else { return Ok(Some(node)) };
        match &mut open.kind {
            Opened::List(items) => items.push(node),
            Opened::Table(rows, merged, key) => match key.take() {
                Some((_, name)) if name == "<<" => merged.extend(merge(node, line)?),
                Some((at, name)) => put(rows, at, name, node)?,
                None => *key = Some((line, word(node, line)?)),
            },
        }
        Ok(None)
    }
}

fn too_deep(line: usize) -> ImportError {
    let hint = format!("at most {DEPTH_MAX} lists and tables may lie in one another");
    ImportError::at(line, "the config is nested too deep", hint)
}

fn word(node: Node, line: usize) -> Result<String, ImportError> {
    match node.value {
        Value::Text(text) => Ok(text),
        Value::Null => Ok("null".to_owned()),
        Value::List(_) | Value::Table(_) => Err(ImportError::at(line, "a key is no text", "write the key as one word or in quotes")),
    }
}

fn merge(node: Node, line: usize) -> Result<Rows, ImportError> {
    match node.value {
        Value::Table(rows) => Ok(rows),
        Value::List(list) => Ok(list.iter().flat_map(|it| it.rows().to_vec()).collect()),
        Value::Null | Value::Text(_) => {
            Err(ImportError::at(line, "`<<` merges no table", "write an alias of a table behind it, as in `<<: *defaults`"))
        }
    }
}

fn put(rows: &mut Rows, line: usize, key: String, node: Node) -> Result<(), ImportError> {
    if rows.iter().any(|(name, _)| *name == key) {
        let message = format!("`{}` stands a second time", crate::names::shown(&key));
        return Err(ImportError::at(line, message, "a key may stand only once in a table: take one of the two out"));
    }
    rows.push((key, node));
    Ok(())
}
