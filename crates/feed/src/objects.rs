//! Objects → events: the same maps over JSON, where a member is a column. Objects inside objects are members with a dot
//! in their name.

use std::borrow::Cow;

use noroshi_wire::elements::Elements;
use serde_json::{Map, Value};

use crate::map::{Mapping, ReadAs};
use crate::plan::{Cells, Made, Plan};
use crate::{Feed, FeedError, Input, Sink};

/// A JSON report, read through a map.
pub struct Objects {
    elements: Elements<Input>,
    mapping: Mapping,
    read: ReadAs,
    plan: Option<(Vec<String>, Plan)>,
}

impl Objects {
    /// Reads `input` as the map says.
    pub fn new(read: &ReadAs, mapping: Mapping, input: Input) -> Self {
        Self { elements: Elements::new(input), mapping, read: read.clone(), plan: None }
    }

    fn object(&mut self, object: &Map<String, Value>) -> Result<Made<'_>, FeedError> {
        let row = Row::new(object);
        let known = self.plan.take().filter(|(names, _)| *names == row.names);
        let planned = match known {
            Some(planned) => planned,
            None => {
                let plan = match Plan::new(&self.mapping, &self.read, &row.names) {
                    Ok(plan) => plan,
                    Err(column) => {
                        return Ok(Made::Bad(format!("member '{column}' is needed and not there")));
                    }
                };
                (row.names.clone(), plan)
            }
        };
        let (_, plan) = self.plan.insert(planned);
        Ok(match plan.make(&row) {
            Made::Event(fields) => Made::Event(fields.into_owned()),
            Made::Filtered => Made::Filtered,
            Made::Bad(reason) => Made::Bad(reason),
        })
    }
}

impl Feed for Objects {
    fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, FeedError> {
        let element = match self.elements.next().transpose()? {
            None => return Ok(false),
            Some(Err(bad)) => {
                sink.bad(bad);
                return Ok(true);
            }
            Some(Ok(element)) => element,
        };
        let list = self.read.list.as_ref().and_then(|name| element.value.get(name));
        let objects = match (list, &element.value) {
            (Some(Value::Array(list)), _) => list.as_slice(),
            (None, one) => std::slice::from_ref(one),
            _ => &[],
        };
        for value in objects {
            let made = match value {
                Value::Object(object) => self.object(object)?,
                _ => Made::Bad("no object".into()),
            };
            match made {
                Made::Event(fields) => sink.event(element.line, fields),
                Made::Filtered => sink.filtered(element.line),
                Made::Bad(reason) => sink.bad(element.bad(reason)),
            }
        }
        Ok(true)
    }
}

/// An object as a row.
pub(crate) struct Row<'a> {
    pub(crate) names: Vec<String>,
    values: Vec<&'a Value>,
    pub(crate) texts: Vec<Cow<'a, str>>,
}

impl<'a> Row<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>) -> Self {
        let mut row = Self { names: Vec::new(), values: Vec::new(), texts: Vec::new() };
        row.add("", object);
        row
    }

    fn add(&mut self, prefix: &str, object: &'a Map<String, Value>) {
        for (name, value) in object {
            let name = format!("{prefix}{name}");
            match value {
                Value::Object(inner) if !inner.is_empty() => self.add(&format!("{name}."), inner),
                _ => {
                    self.names.push(name);
                    self.values.push(value);
                    self.texts.push(text_of(value));
                }
            }
        }
    }
}

/// A JSON value as the cell of a CSV would have it.
pub fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

impl Cells for Row<'_> {
    fn text(&self, at: usize) -> &str {
        self.texts.get(at).map_or("", AsRef::as_ref)
    }

    fn value(&self, at: usize) -> Option<&Value> {
        self.values.get(at).copied()
    }
}
