//! A table as the engine sees it: which files a question is about. The engine has a listing of its own, but does not know which files
//! were joined into others, and looks into each; here the names of the folders decide.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::helpers::{expr_applicable_for_cols, filter_partitioned_file};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use jiff::civil::Date;
use object_store::path::Path as ObjectPath;

use crate::files::{self, Partition};
use crate::{Lake, LakeError, Table};

/// The columns that are the names of folders.
const FOLDERS: [&str; 2] = ["day", "sensor"];

/// The days of a table that are looked at, whatever the question. They are decided once for a question, so that one of which counts are made or
/// removed meanwhile is not answered twice, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Days {
    /// Those that are there.
    All,
    /// These, and it is an error when one is gone.
    Only(Arc<BTreeSet<Date>>),
    /// All but these.
    Without(Arc<BTreeSet<Date>>),
}

/// One of the tables.
pub(crate) struct LakeTable {
    folder: PathBuf,
    table: Table,
    days: Days,
    columns: TableSchema,
}

impl fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeTable")
            .field("table", &self.table)
            .field("days", &self.days)
            .finish_non_exhaustive()
    }
}

impl LakeTable {
    pub(crate) fn new(lake: &Lake, table: Table, days: Days) -> Self {
        Self::at(lake.folder(), table, days)
    }

    fn at(folder: &Path, table: Table, days: Days) -> Self {
        let columns = TableSchema::builder(in_memory(&table.schema()))
            .with_table_partition_cols(folders(table))
            .build();
        Self { folder: folder.to_owned(), table, days, columns }
    }

    /// Which it is, for a plan that goes elsewhere.
    #[cfg(feature = "cluster")]
    pub(crate) fn name(&self) -> String {
        let name = self.table.name();
        let list = |days: &BTreeSet<Date>| days.iter().map(Date::to_string).collect::<Vec<_>>().join(",");
        match &self.days {
            Days::All => name.to_owned(),
            Days::Only(days) => format!("{name}={}", list(days)),
            Days::Without(days) => format!("{name}!{}", list(days)),
        }
    }

    /// Which a plan from elsewhere names; nothing else can be named.
    #[cfg(feature = "cluster")]
    pub(crate) fn named(folder: &Path, name: &str) -> Option<Self> {
        let (table, days) = match name.split_once(['=', '!']) {
            None => (name, Days::All),
            Some((table, list)) => {
                let days = list.split(',').filter(|day| !day.is_empty()).map(str::parse::<Date>);
                let days = Arc::new(days.collect::<std::result::Result<BTreeSet<Date>, _>>().ok()?);
                let is_only = name.as_bytes().get(table.len()) == Some(&b'=');
                (table, if is_only { Days::Only(days) } else { Days::Without(days) })
            }
        };
        let table = Table::ALL.into_iter().find(|one| one.name() == table)?;
        Some(Self::at(folder, table, days))
    }

    /// The files of the days and sensors that pass.
    fn files(&self, filters: &[Expr]) -> Result<Vec<PartitionedFile>> {
        let schema = DFSchema::try_from(Schema::new(folders(self.table)))?;
        // Asked once for all files of a folder, whose list is only made when it passes.
        let passes = |values: Vec<ScalarValue>| {
            let folder = PartitionedFile::new("", 0).with_partition_values(values);
            Ok::<_, DataFusionError>(filter_partitioned_file(folder, filters, &schema)?.is_some())
        };
        let mut files = Vec::new();
        for day in self.days().map_err(outside)? {
            if self.table == Table::Counts {
                if passes(vec![date(day)?])? {
                    files.extend(self.counts_of(day)?);
                }
                continue;
            }
            for partition in files::partitions(&self.folder, self.table, day).map_err(outside)? {
                if passes(values(&partition)?)? {
                    self.files_of(&partition, &mut files)?;
                }
            }
        }
        Ok(files)
    }

    fn days(&self) -> std::result::Result<Vec<Date>, LakeError> {
        match &self.days {
            Days::All => files::days(&self.folder, self.table),
            Days::Only(days) => Ok(days.iter().copied().collect()),
            Days::Without(days) => {
                let all = files::days(&self.folder, self.table)?;
                Ok(all.into_iter().filter(|day| !days.contains(day)).collect())
            }
        }
    }

    fn counts_of(&self, day: Date) -> Result<Option<PartitionedFile>> {
        let path = files::counts_file(&self.folder, day);
        match fs::metadata(&path) {
            Ok(found) => Ok(Some(file(&path, found.len(), vec![date(day)?])?)),
            Err(gone) if gone.kind() == std::io::ErrorKind::NotFound && self.days == Days::All => Ok(None),
            Err(error) => Err(outside(LakeError::io(&path)(error))),
        }
    }

    fn files_of(&self, partition: &Partition, into: &mut Vec<PartitionedFile>) -> Result<()> {
        for found in partition.files(&self.folder).map_err(outside)? {
            into.push(file(&found.path, found.bytes, values(partition)?)?);
        }
        Ok(())
    }
}

/// A file as the engine knows it.
fn file(path: &Path, bytes: u64, values: Vec<ScalarValue>) -> Result<PartitionedFile> {
    let mut found = PartitionedFile::new("", bytes).with_partition_values(values);
    // By hand, because `new` would escape letters that are in the folder's name.
    found.object_meta.location = ObjectPath::from_absolute_path(path).map_err(object_store::Error::from)?;
    Ok(found)
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.columns.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (by_folder, others): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| is_about_folders(self.table, filter));
        let files = self.files(&by_folder)?;
        if files.is_empty() {
            let schema = self.schema();
            let columns =
                projection.map_or_else(|| Ok(schema.as_ref().clone()), |some| schema.project(some))?;
            // Not as `EmptyExec`: a cluster never ends a union with one.
            return Ok(MemorySourceConfig::try_new_exec(&[Vec::new()], Arc::new(columns), None)?);
        }
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        let format = ParquetFormat::default().with_options(state.default_table_options().parquet);
        let source = format.file_source(self.columns.clone());
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(if others.is_empty() { limit } else { None })
            .build();
        format.create_physical_plan(state, config).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| {
            if is_about_folders(self.table, filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Inexact
            }
        };
        Ok(filters.iter().map(answer).collect())
    }
}

/// Whether the names of the folders decide. Not where another query has to be asked first.
fn is_about_folders(table: Table, filter: &Expr) -> bool {
    let asks = |part: &Expr| {
        Ok(matches!(
            part,
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::OuterReferenceColumn(..)
        ))
    };
    expr_applicable_for_cols(columns(table), filter) && !filter.exists(asks).unwrap_or(true)
}

fn folders(table: Table) -> Vec<FieldRef> {
    let kinds = [DataType::Date32, DataType::Utf8];
    columns(table).iter().zip(kinds).map(|(name, kind)| Arc::new(Field::new(*name, kind, false))).collect()
}

/// The columns that are the names of a table's folders.
fn columns(table: Table) -> &'static [&'static str] {
    if table == Table::Counts { &FOLDERS[..1] } else { &FOLDERS }
}

fn values(partition: &Partition) -> Result<Vec<ScalarValue>> {
    Ok(vec![date(partition.day)?, ScalarValue::from(partition.sensor.as_str())])
}

fn date(day: Date) -> Result<ScalarValue> {
    let since = day.since(Date::constant(1970, 1, 1)).map(|since| since.get_days());
    Ok(ScalarValue::Date32(Some(since.map_err(|error| DataFusionError::External(Box::new(error)))?)))
}

/// The columns as they are held: short texts and addresses within the column, without a second look.
fn in_memory(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let kind = match field.data_type() {
            DataType::Binary => DataType::BinaryView,
            DataType::Utf8 => DataType::Utf8View,
            other => other.clone(),
        };
        field.as_ref().clone().with_data_type(kind)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn outside(error: LakeError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
