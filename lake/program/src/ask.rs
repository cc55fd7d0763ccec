//! A question, for a purpose. Who asks what for what is written down, and on the disk, before it is answered: `queries.jsonl` beside the
//! tables, a line each.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use noroshi_lake::{Engine, Format, Lake, Limits};
use noroshi_model::clock::{Clock as _, SystemClock};
use serde_json::json;

/// Where questions are written down.
const LOG: &str = "queries.jsonl";

/// Ask, for a purpose that is written down
#[derive(Debug, Args)]
pub struct Query {
    /// One SELECT; `-` reads it from standard input
    sql: String,
    /// What for, and who asks
    #[command(flatten)]
    purpose: Purpose,
    /// How it is written: table, csv, json, parquet
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Where to [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Most rows
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// Memory, MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: usize,
    /// Seconds it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    time: u64,
    /// Threads that work on it; on a cluster, into how many parts it is divided: as many as all executors have threads [default: one for each
    /// processor of this machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The scheduler of a Ballista cluster that sees the lake at the same path: df://HOST:PORT [default: this process]
    #[arg(long, value_name = "URL", env = "NOROSHI_LAKE_CLUSTER")]
    cluster: Option<String>,
}

/// What a question is for, and who asks it.
#[derive(Debug, Args)]
pub struct Purpose {
    /// What for
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// Who asks
    #[arg(long = "by", value_name = "NAME", env = "USER", default_value = "unknown")]
    person: String,
}

impl Purpose {
    /// What the program asks by itself.
    pub fn of_program(purpose: &str) -> Self {
        Self { purpose: purpose.to_owned(), person: "noroshi-lake follow".to_owned() }
    }

    /// Writes the question down; it is on the disk when this returns.
    pub fn note(&self, lake: &Lake, question: &str) -> anyhow::Result<()> {
        ensure!(!self.purpose.trim().is_empty(), "say what for: --purpose");
        let path = lake.folder().join(LOG);
        let mut file = File::options().create(true).append(true).open(&path)?;
        let (at, by, purpose) = (SystemClock.now(), &self.person, &self.purpose);
        let line = format!("{}\n", json!({ "at": at, "by": by, "purpose": purpose, "sql": question }));
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_data())
            .with_context(|| path.display().to_string())
    }
}

/// Does it.
pub fn run(lake: &Lake, wish: &Query) -> anyhow::Result<()> {
    let mut sql = wish.sql.clone();
    if sql == "-" {
        sql.clear();
        io::stdin().take(1 << 20).read_to_string(&mut sql)?;
    }
    let usual = Limits::default();
    let limits = Limits {
        memory_bytes: wish.memory << 20,
        rows: wish.rows,
        time: Duration::from_secs(wish.time),
        threads: wish.threads.map_or(usual.threads, usize::from),
        ..usual
    };
    wish.purpose.note(lake, &sql)?;
    let mut answer = lake.query_on(&engine(wish)?, &sql, &limits)?;
    match &wish.output {
        Some(path) => {
            let file = File::create(path).with_context(|| path.display().to_string())?;
            let rows = answer.write(wish.format, &file)?;
            file.sync_data()?;
            eprintln!("{rows} rows in {}", path.display());
        }
        None => {
            answer.write(wish.format, io::stdout())?;
        }
    }
    Ok(())
}

fn engine(wish: &Query) -> anyhow::Result<Engine> {
    match &wish.cluster {
        None => Ok(Engine::Embedded),
        #[cfg(feature = "cluster")]
        Some(url) => Ok(Engine::Cluster(url.clone())),
        #[cfg(not(feature = "cluster"))]
        Some(_) => anyhow::bail!("built without the feature `cluster`"),
    }
}
