//! The three kinds of value there are, and rows of them. Keeping to integers, text and bytes is what lets one SQL text
//! serve both databases.

use jiff::Timestamp;
use noroshi_model::Id;
use serde::de::DeserializeOwned;

use crate::StoreError;

/// A value going in or coming out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// 64-bit integer: counts, flags, milliseconds.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

macro_rules! from {
    ($($t:ty => |$v:ident| $e:expr),+ $(,)?) => {
        $(impl From<$t> for Value { fn from($v: $t) -> Self { $e } })+
    };
}

from! {
    i64 => |v| Value::Int(v),
    u32 => |v| Value::Int(v.into()),
    bool => |v| Value::Int(v.into()),
    u64 => |v| Value::Int(i64::try_from(v).unwrap_or(i64::MAX)),
    usize => |v| Value::Int(i64::try_from(v).unwrap_or(i64::MAX)),
    &str => |v| Value::Text(v.to_owned()),
    String => |v| Value::Text(v),
    &String => |v| Value::Text(v.clone()),
    &Id => |v| Value::Text(v.to_string()),
    Timestamp => |v| Value::Int(v.as_millisecond()),
    Vec<u8> => |v| Value::Bytes(v),
    &[u8] => |v| Value::Bytes(v.to_vec()),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Value::Null, Into::into)
    }
}

/// Makes the parameter list of a statement.
macro_rules! values {
    ($($v:expr),* $(,)?) => { &[$($crate::row::Value::from($v)),*] };
}
pub(crate) use values;

/// One row.
#[derive(Clone, Debug)]
pub struct Row(pub(crate) Vec<Value>);

impl Row {
    /// An integer.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(v)) => Ok(*v),
            other => Err(unexpected("an integer", column, other)),
        }
    }

    /// A count.
    pub fn count(&self, column: usize) -> Result<u64, StoreError> {
        let v = self.int(column)?;
        u64::try_from(v).map_err(|_| unexpected("a count", column, self.0.get(column)))
    }

    /// A count or nothing.
    pub fn count_opt(&self, column: usize) -> Result<Option<u64>, StoreError> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.count(column).map(Some),
        }
    }

    /// A flag.
    pub fn flag(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    /// A time.
    pub fn time(&self, column: usize) -> Result<Timestamp, StoreError> {
        Timestamp::from_millisecond(self.int(column)?)
            .map_err(|_| unexpected("a time", column, self.0.get(column)))
    }

    /// A time or nothing.
    pub fn time_opt(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.time(column).map(Some),
        }
    }

    /// Text.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(v)) => Ok(v),
            other => Err(unexpected("text", column, other)),
        }
    }

    /// Text or nothing.
    pub fn text_opt(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.text(column).map(Some),
        }
    }

    /// An id.
    pub fn id(&self, column: usize) -> Result<Id, StoreError> {
        Id::parse(self.text(column)?).ok_or_else(|| unexpected("an id", column, self.0.get(column)))
    }

    /// Bytes, or none where the column is empty.
    pub fn bytes(&self, column: usize) -> Result<&[u8], StoreError> {
        match self.0.get(column) {
            Some(Value::Bytes(v)) => Ok(v),
            // A row changed by hand may have another type; its hash will tell.
            Some(Value::Text(v)) => Ok(v.as_bytes()),
            Some(Value::Null) => Ok(&[]),
            other => Err(unexpected("bytes", column, other)),
        }
    }

    /// Bytes or nothing.
    pub fn bytes_opt(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.bytes(column).map(Some),
        }
    }

    /// A value kept as JSON text.
    pub fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        serde_json::from_str(self.text(column)?).map_err(|e| StoreError::Corrupt(e.to_string()))
    }

    /// A value read by its own parser.
    pub fn parsed<T>(&self, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        parse(self.text(column)?).ok_or_else(|| StoreError::Corrupt(format!("column {column} does not read")))
    }
}

/// Says what was expected where; never the value itself, which may be personal.
fn unexpected(expected: &str, column: usize, found: Option<&Value>) -> StoreError {
    let found = match found {
        None => "no such column",
        Some(Value::Null) => "nothing",
        Some(Value::Int(_)) => "an integer",
        Some(Value::Text(_)) => "text",
        Some(Value::Bytes(_)) => "bytes",
    };
    StoreError::Corrupt(format!("column {column}: expected {expected}, found {found}"))
}
