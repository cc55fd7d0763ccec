//! An answer as text, or as a file. Addresses are bytes in the tables and text here; and whatever somebody out there put into a field,
//! a terminal is not told to obey it.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use unicode_width::UnicodeWidthStr;

use crate::query::address_of;
use crate::{Answer, LakeError};

/// Rows whose widths a table is made for. What comes later and is wider stands out, and nothing has to be held for it.
const MEASURED_ROWS: usize = 4096;
/// Widest column of a table, in places of a terminal.
const WIDTH_MAX: usize = 64;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns under each other, for eyes.
    Table,
    /// CSV (RFC 4180) with a line of names.
    Csv,
    /// A JSON object per line.
    Json,
    /// Parquet, with addresses as bytes.
    Parquet,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "parquet" => Ok(Self::Parquet),
            _ => Err("a format is table, csv, json or parquet".to_owned()),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
        })
    }
}

impl Answer {
    /// Writes all rows that are left, and returns how many.
    ///
    /// # Errors
    /// When the query fails on its way or the output does.
    pub fn write(&mut self, format: Format, to: impl Write + Send) -> Result<u64, LakeError> {
        match format {
            Format::Table => self.write_table(to),
            Format::Csv => self.write_csv(to),
            Format::Json => self.write_json(to),
            Format::Parquet => self.write_parquet(to),
        }
    }

    fn write_csv(&mut self, to: impl Write) -> Result<u64, LakeError> {
        let mut writer = csv::WriterBuilder::new().with_header(true).build(to);
        let mut rows = 0;
        // Of no rows the names still.
        writer.write(&RecordBatch::new_empty(readable_schema(&self.schema())))?;
        for batch in self {
            let batch = readable(&batch?)?;
            rows += batch.num_rows() as u64;
            writer.write(&batch)?;
        }
        Ok(rows)
    }

    fn write_json(&mut self, to: impl Write) -> Result<u64, LakeError> {
        let builder = json::WriterBuilder::new().with_explicit_nulls(true);
        let mut writer = builder.build::<_, json::writer::LineDelimited>(to);
        let mut rows = 0;
        for batch in self {
            let batch = readable(&batch?)?;
            rows += batch.num_rows() as u64;
            writer.write(&batch)?;
        }
        writer.finish()?;
        Ok(rows)
    }

    fn write_parquet(&mut self, to: impl Write + Send) -> Result<u64, LakeError> {
        let zstd = Compression::ZSTD(ZstdLevel::try_new(3)?);
        let properties = WriterProperties::builder().set_compression(zstd).build();
        let mut writer = ArrowWriter::try_new(to, self.schema(), Some(properties))?;
        let mut rows = 0;
        for batch in self {
            let batch = batch?;
            rows += batch.num_rows() as u64;
            writer.write(&batch)?;
        }
        writer.close()?;
        Ok(rows)
    }

    fn write_table(&mut self, mut to: impl Write) -> Result<u64, LakeError> {
        let schema = readable_schema(&self.schema());
        let names = schema.fields().iter().map(|field| escaped(field.name())).collect();
        let mut held: Vec<Vec<String>> = vec![names];
        let mut layout = None;
        let mut rows = 0;
        for batch in self {
            let mut cells = cells(&readable(&batch?)?)?;
            rows += cells.len() as u64;
            held.append(&mut cells);
            if held.len() > MEASURED_ROWS || layout.is_some() {
                let layout = layout.get_or_insert_with(|| Layout::of(&schema, &held));
                layout.write(&mut held, &mut to).map_err(output)?;
            }
        }
        if !held.is_empty() {
            layout
                .get_or_insert_with(|| Layout::of(&schema, &held))
                .write(&mut held, &mut to)
                .map_err(output)?;
        }
        to.flush().map_err(output)?;
        Ok(rows)
    }
}

fn output(source: io::Error) -> LakeError {
    LakeError::Io { path: "the output".into(), source }
}

/// How wide the columns are, and which are numbers.
struct Layout {
    widths: Vec<usize>,
    right: Vec<bool>,
    is_begun: bool,
}

impl Layout {
    fn of(schema: &Schema, rows: &[Vec<String>]) -> Self {
        let width =
            |index: usize| rows.iter().map(|row| row[index].width()).max().unwrap_or(0).min(WIDTH_MAX);
        Self {
            widths: (0..schema.fields().len()).map(width).collect(),
            right: schema.fields().iter().map(|field| field.data_type().is_numeric()).collect(),
            is_begun: false,
        }
    }

    /// Writes rows and lets go of them; the first of all are the names.
    fn write(&mut self, rows: &mut Vec<Vec<String>>, to: &mut impl Write) -> io::Result<()> {
        for row in rows.drain(..) {
            self.line(&row, to)?;
            if !self.is_begun {
                self.is_begun = true;
                let rules: Vec<String> = self.widths.iter().map(|width| "─".repeat(*width)).collect();
                self.line(&rules, to)?;
            }
        }
        Ok(())
    }

    fn line(&self, cells: &[String], to: &mut impl Write) -> io::Result<()> {
        let mut line = String::new();
        for (index, cell) in cells.iter().enumerate() {
            let space = " ".repeat(self.widths[index].saturating_sub(cell.width()));
            let gap = if index == 0 { "" } else { "  " };
            let parts = if self.right[index] { [gap, &space, cell] } else { [gap, cell, &space] };
            parts.iter().for_each(|part| line.push_str(part));
        }
        writeln!(to, "{}", line.trim_end())
    }
}

/// A batch's rows as texts.
fn cells(batch: &RecordBatch) -> Result<Vec<Vec<String>>, ArrowError> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let row = |index| {
        let cell =
            |column: &ArrayFormatter<'_>| column.value(index).try_to_string().map(|text| escaped(&text));
        columns.iter().map(cell).collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Without what moves a cursor, turns the direction of writing, or cannot be seen.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        let turns = matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if letter.is_control() || turns {
            safe.extend(letter.escape_unicode());
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// The columns of [`readable`].
fn readable_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let is_bytes = is_bytes(field.data_type());
        if is_bytes { Field::new(field.name(), DataType::Utf8, true) } else { field.as_ref().clone() }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Addresses as text. Bytes of another length are no addresses, and become hex digits.
fn readable(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| {
        if !is_bytes(column.data_type()) {
            return Ok(column.clone());
        }
        let bytes = cast(column, &DataType::Binary)?;
        let texts: StringArray = bytes.as_binary::<i32>().iter().map(|bytes| bytes.map(text_of)).collect();
        Ok(Arc::new(texts) as ArrayRef)
    });
    RecordBatch::try_new(readable_schema(&batch.schema()), columns.collect::<Result<_, ArrowError>>()?)
}

fn text_of(bytes: &[u8]) -> String {
    match address_of(bytes) {
        Some(ip) => ip.to_string(),
        None => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn is_bytes(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        assert_eq!(escaped("\u{1b}[2Jx\n\u{202e}y\u{7f}\u{9b}"), "\\u{1b}[2Jx\\u{a}\\u{202e}y\\u{7f}\\u{9b}");
        assert_eq!(escaped("日本 é"), "日本 é");
    }

    #[test]
    fn bytes_are_addresses_or_hex() {
        assert_eq!(text_of(&[192, 0, 2, 1]), "192.0.2.1");
        assert_eq!(text_of(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), "2001:db8::1");
        assert_eq!(text_of(&[1, 0xab]), "01ab");
    }
}
