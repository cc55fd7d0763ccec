//! A table as the engine sees it: which files a question is about. The engine has a listing of its own, but does not know which files
//! were joined into others, and looks into each; here the names of the folders decide.

use std::fmt;
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
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use jiff::civil::Date;
use object_store::path::Path as ObjectPath;

use crate::files::{self, Partition};
use crate::{Lake, LakeError, Table};

/// The columns that are the names of folders.
const FOLDERS: [&str; 2] = ["day", "sensor"];

/// One of the two tables.
pub(crate) struct LakeTable {
    folder: PathBuf,
    table: Table,
    columns: TableSchema,
}

impl fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeTable").field("table", &self.table).finish_non_exhaustive()
    }
}

impl LakeTable {
    pub(crate) fn new(lake: &Lake, table: Table) -> Self {
        Self::at(lake.folder(), table)
    }

    pub(crate) fn at(folder: &Path, table: Table) -> Self {
        let columns =
            TableSchema::builder(in_memory(&table.schema())).with_table_partition_cols(folders()).build();
        Self { folder: folder.to_owned(), table, columns }
    }

    /// Which it is, for a plan that goes elsewhere.
    #[cfg(feature = "cluster")]
    pub(crate) fn table(&self) -> Table {
        self.table
    }

    /// The files of the days and sensors that pass.
    fn files(&self, filters: &[Expr]) -> Result<Vec<PartitionedFile>> {
        let schema = DFSchema::try_from(Schema::new(folders()))?;
        let mut files = Vec::new();
        for day in files::days(&self.folder, self.table).map_err(outside)? {
            for partition in files::partitions(&self.folder, self.table, day).map_err(outside)? {
                // Asked once for all files of the folder, whose list is only made when it passes.
                let folder = PartitionedFile::new("", 0).with_partition_values(values(&partition)?);
                if filter_partitioned_file(folder, filters, &schema)?.is_some() {
                    self.files_of(&partition, &mut files)?;
                }
            }
        }
        Ok(files)
    }

    fn files_of(&self, partition: &Partition, into: &mut Vec<PartitionedFile>) -> Result<()> {
        for file in partition.files(&self.folder).map_err(outside)? {
            let mut found = PartitionedFile::new("", file.bytes).with_partition_values(values(partition)?);
            // By hand, because `new` would escape letters that are in the folder's name.
            found.object_meta.location =
                ObjectPath::from_absolute_path(&file.path).map_err(object_store::Error::from)?;
            into.push(found);
        }
        Ok(())
    }
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
        let (by_folder, others): (Vec<Expr>, Vec<Expr>) = filters.iter().cloned().partition(is_about_folders);
        let files = self.files(&by_folder)?;
        if files.is_empty() {
            let schema = self.schema();
            let columns =
                projection.map_or_else(|| Ok(schema.as_ref().clone()), |some| schema.project(some))?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(columns))));
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
            if is_about_folders(filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Inexact
            }
        };
        Ok(filters.iter().map(answer).collect())
    }
}

/// Whether the names of the folders decide. Not where another query has to be asked first.
fn is_about_folders(filter: &Expr) -> bool {
    let asks = |part: &Expr| {
        Ok(matches!(
            part,
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::OuterReferenceColumn(..)
        ))
    };
    expr_applicable_for_cols(&FOLDERS, filter) && !filter.exists(asks).unwrap_or(true)
}

fn folders() -> Vec<FieldRef> {
    let [day, sensor] = FOLDERS;
    vec![
        Arc::new(Field::new(day, DataType::Date32, false)),
        Arc::new(Field::new(sensor, DataType::Utf8, false)),
    ]
}

fn values(partition: &Partition) -> Result<Vec<ScalarValue>> {
    let since = partition.day.since(Date::constant(1970, 1, 1)).map(|since| since.get_days());
    let days = since.map_err(|error| DataFusionError::External(Box::new(error)))?;
    Ok(vec![ScalarValue::Date32(Some(days)), ScalarValue::from(partition.sensor.as_str())])
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
