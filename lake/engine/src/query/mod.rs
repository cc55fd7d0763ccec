//! Asking. SQL comes from people, and tomorrow from a form: so what may be asked is decided before anything runs, and what may be used
//! is bounded while it runs.
//!
//! ```text
//!   SQL ─guard: one question─▶ plan ─scan: the days and sensors it names─▶ files ─engine: memory, time, rows─▶ Answer
//! ```
//!
//! An [`Answer`] holds the readers' lock, so that what it reads is not swept away under it.

pub(crate) mod functions;
mod guard;
pub(crate) mod scan;

pub(crate) use functions::address_of;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionStateDefaults};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures_util::StreamExt;
use tokio::runtime::Runtime;

use crate::{Lake, LakeError, Table, files};
use scan::{Days, LakeTable};

/// Longest question, in bytes.
pub const SQL_BYTES_MAX: usize = 64 << 10;
/// Where what does not fit into memory goes, within the lake.
pub(crate) const SPILL: &str = ".spill";

/// What of each port was seen on each day: a question about counts, and about the minutes of days that are not counted.
const PORTS: &str = "SELECT day, sensor, protocol, destination_port, hosts, packets FROM counted WHERE sensor IS NOT NULL AND tool IS NULL \
     UNION ALL SELECT day, sensor, protocol, destination_port, count(DISTINCT source) AS hosts, sum(packets) AS packets \
     FROM uncounted GROUP BY day, sensor, protocol, destination_port";
/// What was asked for on each day, of all sensors together and without what victims answer: by port, or by tool.
const ASKED: &str = "SELECT day, protocol, destination_port, tool, asking_hosts AS hosts, asking_packets AS packets FROM counted \
     WHERE sensor IS NULL AND asking_hosts > 0 \
     UNION ALL SELECT day, protocol, destination_port, NULL AS tool, count(DISTINCT source) AS hosts, sum(packets) AS packets \
     FROM uncounted WHERE class <> 'backscatter' GROUP BY day, protocol, destination_port \
     UNION ALL SELECT day, NULL AS protocol, NULL AS destination_port, tool, count(DISTINCT source) AS hosts, sum(packets) AS packets \
     FROM uncounted WHERE class <> 'backscatter' AND tool IS NOT NULL GROUP BY day, tool";

/// What a query may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of aggregates, joins and sorts, in bytes.
    pub memory_bytes: usize,
    /// What may go to the disk when it does not fit into that, in bytes; 0 for nothing.
    pub spill_bytes: u64,
    /// Most rows of the answer; it says whether there were more.
    pub rows: Option<u64>,
    /// Longest time, from the question to the last row.
    pub time: Duration,
    /// How many threads work on it; on a cluster, into how many parts it is divided, which executors share.
    pub threads: usize,
}

impl Default for Limits {
    /// 1 GiB of memory, 10 GiB of disk, any number of rows, a minute, and as many threads as there are processors.
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            spill_bytes: 10 << 30,
            rows: None,
            time: Duration::from_secs(60),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Where queries run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// In this process.
    #[default]
    Embedded,
    /// On the Ballista cluster whose scheduler is at this address (`df://scheduler.example:50050`), all of which sees the lake at the
    /// same path. Its own configuration says what a query may use there; rows and time are bounded here too.
    #[cfg(feature = "cluster")]
    Cluster(String),
}

/// The rows of an answer, as they come; each item is some of them. Dropping it ends the query.
pub struct Answer {
    schema: SchemaRef,
    stream: Option<SendableRecordBatchStream>,
    runtime: Option<Runtime>,
    rows_left: Option<u64>,
    is_cut: bool,
    until: Instant,
    time: Duration,
    _readers: fs::File,
}

impl Lake {
    /// Asks in this process.
    ///
    /// Blocks, and so do the answer's rows: not to be called from within async code.
    ///
    /// # Errors
    /// [`LakeError::NotAQuestion`] and [`LakeError::Sql`] are the question's fault and say where; [`LakeError::Memory`] and
    /// [`LakeError::TimedOut`] the limits'.
    pub fn query(&self, sql: &str, limits: &Limits) -> Result<Answer, LakeError> {
        self.query_on(&Engine::Embedded, sql, limits)
    }

    /// Asks where the configuration says.
    ///
    /// # Errors
    /// As [`Lake::query`]; [`LakeError::Engine`] when the cluster cannot be reached.
    pub fn query_on(&self, engine: &Engine, sql: &str, limits: &Limits) -> Result<Answer, LakeError> {
        let until = Instant::now() + limits.time;
        let statement = guard::question(sql)?;
        let readers = crate::readers(&self.folder)?;
        readers.lock_shared().map_err(LakeError::io(&self.folder))?;
        let runtime = runtime(limits.threads)?;
        let planned = async {
            let state = self.state(engine, limits).await?;
            let plan = state.statement_to_plan(statement).await?;
            guard::only_reads(&plan)?;
            let context = SessionContext::new_with_state(state);
            Ok::<_, LakeError>(context.execute_logical_plan(plan).await?.execute_stream().await?)
        };
        let stream = runtime.block_on(async { tokio::time::timeout_at(until.into(), planned).await });
        let stream = stream.unwrap_or(Err(LakeError::TimedOut(limits.time)))?;
        Ok(Answer {
            schema: stream.schema(),
            stream: Some(stream),
            runtime: Some(runtime),
            rows_left: limits.rows,
            is_cut: false,
            until,
            time: limits.time,
            _readers: readers,
        })
    }

    /// The engine with our tables and functions, and nothing that could name another file.
    async fn state(&self, engine: &Engine, limits: &Limits) -> Result<SessionState, LakeError> {
        let state = match engine {
            Engine::Embedded => {
                let mut config = config(limits.threads);
                // What each sort keeps back so that it can merge what it spilled must fit in itself.
                let share = limits.memory_bytes / limits.threads.max(1) / 8;
                let keeps = &mut config.options_mut().execution.sort_spill_reservation_bytes;
                *keeps = share.min(*keeps);
                session(config, self.environment(limits)?)
            }
            #[cfg(feature = "cluster")]
            Engine::Cluster(url) => crate::cluster::session(self, url, limits.threads)?,
        };
        let context = SessionContext::new_with_state(state);
        for table in Table::ALL {
            context.register_table(table.name(), Arc::new(LakeTable::new(self, table, Days::All)))?;
        }
        let counted = Arc::new(files::counted(&self.folder)?);
        let parts = [
            ("counted", LakeTable::new(self, Table::Counts, Days::Only(Arc::clone(&counted)))),
            ("uncounted", LakeTable::new(self, Table::Minutes, Days::Without(counted))),
        ];
        for (name, table) in parts {
            context.register_table(name, Arc::new(table))?;
        }
        for (name, question) in [("ports", PORTS), ("asked", ASKED)] {
            let view = context.sql(question).await?.into_view();
            context.register_table(name, view)?;
        }
        // The views know them; nobody else has to.
        for name in ["counted", "uncounted"] {
            context.deregister_table(name)?;
        }
        Ok(context.state())
    }

    fn environment(&self, limits: &Limits) -> Result<Arc<RuntimeEnv>, LakeError> {
        let disk = if limits.spill_bytes == 0 {
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled)
        } else {
            let folder = self.folder.join(SPILL);
            fs::create_dir_all(&folder).map_err(LakeError::io(&folder))?;
            DiskManagerBuilder::default()
                .with_mode(DiskManagerMode::Directories(vec![folder]))
                .with_max_temp_directory_size(limits.spill_bytes)
        };
        let pool = Arc::new(FairSpillPool::new(limits.memory_bytes));
        Ok(RuntimeEnvBuilder::new().with_memory_pool(pool).with_disk_manager_builder(disk).build_arc()?)
    }
}

/// How the engine is set, wherever it runs.
pub(crate) fn config(threads: usize) -> SessionConfig {
    let mut config =
        SessionConfig::new().with_target_partitions(threads.max(1)).with_information_schema(true);
    // For the place of what is wrong.
    config.options_mut().sql_parser.collect_spans = true;
    config
}

/// An engine without formats, table factories and other ways to files.
pub(crate) fn session(config: SessionConfig, environment: Arc<RuntimeEnv>) -> SessionState {
    let mut scalar = SessionStateDefaults::default_scalar_functions();
    scalar.extend(functions::all());
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(environment)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(scalar)
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .build()
}

pub(crate) fn runtime(threads: usize) -> Result<Runtime, LakeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .thread_name("lake")
        .enable_all()
        .build();
    runtime.map_err(|error| LakeError::Engine(format!("no threads: {error}")))
}

impl Answer {
    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Whether there were more rows than the limit; known when all were taken.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        let until = self.until.into();
        let (Some(runtime), Some(stream)) = (&self.runtime, &mut self.stream) else { return Ok(None) };
        let next = runtime.block_on(async { tokio::time::timeout_at(until, stream.next()).await });
        match next {
            Err(_) => Err(LakeError::TimedOut(self.time)),
            Ok(None) => Ok(None),
            Ok(Some(batch)) => Ok(Some(batch?)),
        }
    }

    /// As much of a batch as the limit leaves.
    fn within_limit(&mut self, batch: RecordBatch) -> Option<RecordBatch> {
        let Some(left) = &mut self.rows_left else { return Some(batch) };
        let rows = batch.num_rows() as u64;
        if rows <= *left {
            *left -= rows;
            return Some(batch);
        }
        self.is_cut = true;
        let some = std::mem::take(left);
        (some > 0).then(|| batch.slice(0, some as usize))
    }
}

impl Iterator for Answer {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let batch = match self.next_batch() {
                Ok(Some(batch)) if batch.num_rows() == 0 => continue,
                Ok(Some(batch)) => self.within_limit(batch).map(Ok),
                Ok(None) => None,
                Err(error) => Some(Err(error)),
            };
            if self.is_cut || !matches!(batch, Some(Ok(_))) {
                self.stream = None;
            }
            return batch;
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.stream = None;
        if let Some(runtime) = self.runtime.take() {
            // A task that is computing ends at its next pause; nobody has to wait for that.
            runtime.shutdown_background();
        }
    }
}
