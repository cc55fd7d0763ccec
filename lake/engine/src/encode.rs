//! How columns are packed. A telescope's packets have about ten bytes of chance each (the sequence numbers that nobody can guess, which
//! address was hit, when); everything else is the same again and again if the rows of a sender lie together. So rows are sorted by
//! sender within a row group, each column gets the encoding that lets a repetition cost nothing and chance cost no more than itself,
//! and zstd goes over it. What pays was measured, and is told in `docs/src/lake.md`.
//!
//! Values are stored as they are. A residual (sequence ^ destination, which is 0 for Mirai) was tried; after sorting it saves 0.2 bytes of
//! 13.7, and whoever reads the files with another tool would have to know it.

use datafusion::arrow::datatypes::DataType;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::Table;

/// Most rows of a row group, and so of what is held in memory while writing: packets of some minutes.
pub(crate) const ROW_GROUP_ROWS: usize = 1 << 20;
/// zstd's level: the ninth saves half a hundredth.
const LEVEL: i32 = 3;
/// Rows of a page: what is read at least, where a page can be left out.
const PAGE_ROWS: usize = 1 << 16;

/// How a table's files are written; `notes` go into the file's metadata.
pub(crate) fn properties(table: Table, notes: Vec<KeyValue>) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(concat!("noroshi ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(notes));
    for field in table.schema().fields() {
        let column = ColumnPath::from(field.name().as_str());
        let Some(encoding) = encoding(table, field.name(), field.data_type()) else { continue };
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, encoding);
    }
    Ok(properties.build())
}

/// The encoding of a column; none for a dictionary.
fn encoding(table: Table, name: &str, kind: &DataType) -> Option<Encoding> {
    match (name, kind) {
        // Within a sender, time and address go on from the row before. Of minutes there are few.
        (_, DataType::Timestamp(..)) if table == Table::Packets => Some(Encoding::DELTA_BINARY_PACKED),
        (_, DataType::Binary) => Some(Encoding::DELTA_BYTE_ARRAY),
        // Chance, or a constant of the tool; the bytes of one place together are more alike than those of one number.
        ("sequence" | "ip_id" | "source_port" | "window", _) => Some(Encoding::BYTE_STREAM_SPLIT),
        ("destination_port", _) if table == Table::Packets => Some(Encoding::BYTE_STREAM_SPLIT),
        _ => None,
    }
}
