//! The same questions on more than one machine: a Ballista scheduler that plans, and executors that read the files and hand each other
//! what they have found.
//!
//! ```text
//!   Lake::query_on(Cluster) ──plan, tables by name──▶ scheduler: which files, who reads which ──▶ executors ──rows──▶ Answer
//! ```
//!
//! Plans travel, code does not: the nodes are this program too, because they have to know our tables and functions. Scheduler and
//! executors see the lake at the same path. Whoever reaches their ports can have any file read that they may read, and Ballista asks
//! nobody who he is: they belong into a network of their own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ballista::prelude::SessionConfigExt;
use ballista_core::extension::SessionStateExt;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::BallistaLogicalExtensionCodec;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{FunctionRegistry as _, TaskContext};
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion_proto::logical_plan::LogicalExtensionCodec;

use crate::query::scan::LakeTable;
use crate::query::{self, functions};
use crate::{Lake, LakeError};

/// Where an executor listens, and to whom it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executor {
    /// The scheduler's host and port.
    pub scheduler: (String, u16),
    /// The address that others reach it at.
    pub host: String,
    /// Port for rows.
    pub port: u16,
    /// Port for orders.
    pub grpc_port: u16,
    /// Where it puts what it found until it is fetched.
    pub work_folder: PathBuf,
    /// How many parts of queries it works on at once.
    pub threads: usize,
    /// Memory for all of them, in bytes.
    pub memory_bytes: u64,
}

/// Plans the queries of a cluster; ends when the process does.
///
/// # Errors
/// When it cannot listen.
pub fn schedule(lake: &Lake, at: SocketAddr) -> Result<(), LakeError> {
    let config = SchedulerConfig {
        bind_host: at.ip().to_string(),
        external_host: at.ip().to_string(),
        bind_port: at.port(),
        override_session_builder: Some(Arc::new(|config| {
            Ok(query::session(config, Arc::new(RuntimeEnv::default())))
        })),
        override_logical_codec: Some(Arc::new(Codec::new(lake.folder().to_owned()))),
        ..SchedulerConfig::default()
    };
    let serve = async {
        let cluster = BallistaCluster::new_from_config(&config).await.map_err(failed)?;
        start_server(cluster, at, Arc::new(config)).await.map_err(failed)
    };
    query::runtime(2)?.block_on(serve)
}

/// Works for a scheduler; ends when the process does.
///
/// # Errors
/// When it cannot listen or does not find its scheduler.
pub fn execute(executor: Executor) -> Result<(), LakeError> {
    let mut registry = BallistaFunctionRegistry::default();
    registry.scalar_functions.extend(functions::all().into_iter().map(|it| (it.name().to_owned(), it)));
    let config = ExecutorProcessConfig {
        bind_host: executor.host.clone(),
        external_host: Some(executor.host),
        port: executor.port,
        grpc_port: executor.grpc_port,
        scheduler_host: executor.scheduler.0,
        scheduler_port: executor.scheduler.1,
        scheduler_connect_timeout_seconds: 20,
        vcores: executor.threads,
        work_dir: Some(executor.work_folder.to_string_lossy().into_owned()),
        memory_pool_size: Some(executor.memory_bytes),
        override_function_registry: Some(Arc::new(registry)),
        ..ExecutorProcessConfig::default()
    };
    let threads = executor.threads.max(2);
    query::runtime(threads)?
        .block_on(async { start_executor_process(Arc::new(config)).await })
        .map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> LakeError {
    LakeError::Engine(error.to_string())
}

/// The asking side: plans as at home, but has the scheduler do it.
pub(crate) fn session(lake: &Lake, url: &str, threads: usize) -> Result<SessionState, LakeError> {
    let codec = Arc::new(Codec::new(lake.folder().to_owned()));
    let config = query::config(threads)
        .upgrade_for_ballista()
        .with_ballista_logical_extension_codec(codec)
        // The adaptive one of Ballista 55 has tasks do branches of a union that are others' (apache/datafusion-ballista#2184): rows
        // double or are lost.
        .with_ballista_adaptive_query_planner(false);
    let state = query::session(config, Arc::new(RuntimeEnv::default()));
    let scheduler = url.strip_prefix("df://").unwrap_or(url);
    let mut state = state.upgrade_for_ballista(format!("http://{scheduler}"))?;
    // It puts its own functions into the place of all others.
    for function in functions::all() {
        state.register_udf(function)?;
    }
    Ok(state)
}

/// How our tables travel: by name. Where they are is each scheduler's own affair, so nobody can point it elsewhere.
#[derive(Debug)]
struct Codec {
    lake: PathBuf,
    rest: BallistaLogicalExtensionCodec,
}

impl Codec {
    fn new(lake: PathBuf) -> Self {
        Self { lake, rest: BallistaLogicalExtensionCodec::default() }
    }
}

impl LogicalExtensionCodec for Codec {
    fn try_decode(&self, bytes: &[u8], inputs: &[LogicalPlan], context: &TaskContext) -> Result<Extension> {
        self.rest.try_decode(bytes, inputs, context)
    }

    fn try_encode(&self, node: &Extension, into: &mut Vec<u8>) -> Result<()> {
        self.rest.try_encode(node, into)
    }

    fn try_decode_table_provider(
        &self,
        bytes: &[u8],
        _: &TableReference,
        _: SchemaRef,
        _: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        let table = std::str::from_utf8(bytes).ok().and_then(|name| LakeTable::named(&self.lake, name));
        let table = table.ok_or_else(|| DataFusionError::Plan("a table that is not ours".to_owned()))?;
        Ok(Arc::new(table))
    }

    fn try_encode_table_provider(
        &self,
        _: &TableReference,
        node: Arc<dyn TableProvider>,
        into: &mut Vec<u8>,
    ) -> Result<()> {
        let node: &dyn std::any::Any = node.as_ref();
        let ours = node.downcast_ref::<LakeTable>();
        let ours = ours.ok_or_else(|| DataFusionError::Plan("a table that is not ours".to_owned()))?;
        into.extend_from_slice(ours.name().as_bytes());
        Ok(())
    }

    fn try_decode_file_format(
        &self,
        bytes: &[u8],
        context: &TaskContext,
    ) -> Result<Arc<dyn FileFormatFactory>> {
        self.rest.try_decode_file_format(bytes, context)
    }

    fn try_encode_file_format(&self, into: &mut Vec<u8>, node: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.rest.try_encode_file_format(into, node)
    }
}
