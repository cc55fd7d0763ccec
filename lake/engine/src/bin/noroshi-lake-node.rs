//! A node of a cluster: `noroshi-lake-node scheduler LAKE HOST:PORT`, or
//! `noroshi-lake-node executor SCHEDULER:PORT HOST:PORT GRPC-PORT FOLDER`.

use noroshi_lake::Lake;
use noroshi_lake::cluster::{self, Executor};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["scheduler", lake, at] => Ok(cluster::schedule(&Lake::open(lake)?, at.parse()?)?),
        ["executor", scheduler, at, grpc_port, folder] => executor(scheduler, at, grpc_port, folder),
        _ => Err("scheduler LAKE HOST:PORT, or executor SCHEDULER:PORT HOST:PORT GRPC-PORT FOLDER".into()),
    }
}

fn executor(scheduler: &str, at: &str, grpc_port: &str, folder: &str) -> Outcome {
    let (scheduler, scheduler_port) = scheduler.rsplit_once(':').ok_or("the scheduler's port is missing")?;
    let (host, port) = at.rsplit_once(':').ok_or("the port is missing")?;
    cluster::execute(Executor {
        scheduler: (scheduler.to_owned(), scheduler_port.parse()?),
        host: host.to_owned(),
        port: port.parse()?,
        grpc_port: grpc_port.parse()?,
        work_folder: folder.into(),
        threads: std::thread::available_parallelism()?.get(),
        memory_bytes: 1 << 30,
    })?;
    Ok(())
}
