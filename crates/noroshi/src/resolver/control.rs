//! How a running resolver is spoken to: a Unix socket in the data folder, a line of JSON each way.
//!
//! Who may write to the folder may speak to it; nobody else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The socket's name in the data folder.
const SOCKET: &str = "resolver.sock";
/// Octets of a request at most.
const REQUEST_OCTETS_MAX: u64 = 64 * 1024;
/// How long a request may take to come in. An answer takes as long as a zone takes to be read.
const REQUEST: Duration = Duration::from_secs(5);

/// What is asked of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Read zones again: these, or all.
    Reload {
        /// Their names.
        zones: Vec<String>,
    },
    /// Add and remove rules of a zone that is kept here.
    Rule {
        /// The zone.
        zone: String,
        /// Lines as in a zone's file.
        add: Vec<String>,
        /// The same.
        remove: Vec<String>,
    },
    /// Give the sockets to whoever asks, and way ([`super::handover`]).
    HandOver,
    /// How it stands.
    Status,
    /// Which rules a name meets.
    Explain {
        /// The name.
        name: String,
        /// Who asks.
        client: IpAddr,
    },
}

/// Where the socket is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET)
}

/// A socket where nobody looks for it yet.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    beside: PathBuf,
    path: PathBuf,
}

impl Control {
    /// Opens it. Of a folder, one resolver may run, or one and whoever takes over from it.
    pub fn open(data_dir: &Path, takes_over: bool) -> anyhow::Result<Self> {
        std::fs::create_dir_all(data_dir).with_context(|| format!("making {}", data_dir.display()))?;
        let path = path(data_dir);
        if !takes_over && UnixStream::connect(&path).is_ok() {
            anyhow::bail!(
                "a resolver runs already with {}; with --take-over another takes its place",
                data_dir.display()
            );
        }
        let beside = data_dir.join(format!("{SOCKET}.{}", std::process::id()));
        // Left by one that was killed.
        let _ = std::fs::remove_file(&beside);
        let listener =
            UnixListener::bind(&beside).with_context(|| format!("listening at {}", beside.display()))?;
        Ok(Self { listener, beside, path })
    }

    /// Lets it be found, in the place of one that was there before.
    pub fn show(&self) -> anyhow::Result<()> {
        std::fs::rename(&self.beside, &self.path)
            .with_context(|| format!("listening at {}", self.path.display()))
    }
}

/// Listens for requests, and gives each to `answer`, with the connection that it came over, until the program ends. What `first` does is
/// done on the same thread before, and waited for: tables are built and freed there, and memory that one thread has freed is not given to another.
pub fn listen<T: Send + 'static>(
    control: &Control,
    first: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    answer: impl Fn(Request, &UnixStream) -> anyhow::Result<serde_json::Value> + Send + 'static,
) -> anyhow::Result<T> {
    let listener = control.listener.try_clone()?;
    let (done, wait) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new().name("resolver-zones".into()).spawn(move || {
        let _ = done.send(first());
        for stream in listener.incoming().flatten() {
            if let Err(error) = serve(&stream, &answer) {
                tracing::debug!(%error, "control");
            }
        }
    })?;
    wait.recv().context("the zones were not read")?
}

fn serve(
    stream: &UnixStream,
    answer: &impl Fn(Request, &UnixStream) -> anyhow::Result<serde_json::Value>,
) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(REQUEST))?;
    let mut line = String::new();
    BufReader::new(stream.take(REQUEST_OCTETS_MAX)).read_line(&mut line)?;
    let request = serde_json::from_str(&line).map_err(anyhow::Error::from);
    let answered = request.and_then(|request| answer(request, stream));
    let answered = match answered {
        Ok(value) => serde_json::json!({ "ok": value }),
        Err(error) => serde_json::json!({ "error": format!("{error:#}") }),
    };
    let mut stream = stream;
    writeln!(stream, "{answered}")?;
    Ok(())
}

/// Asks a running resolver.
pub fn ask(data_dir: &Path, request: &Request) -> anyhow::Result<serde_json::Value> {
    let path = path(data_dir);
    let stream = UnixStream::connect(&path)
        .with_context(|| format!("no resolver runs with {} ({})", data_dir.display(), path.display()))?;
    put(&stream, request)?;
    answered(stream)
}

/// Puts a request.
pub fn put(mut stream: &UnixStream, request: &Request) -> anyhow::Result<()> {
    writeln!(stream, "{}", serde_json::to_string(request)?)?;
    Ok(())
}

/// What it is answered.
pub fn answered(stream: UnixStream) -> anyhow::Result<serde_json::Value> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let mut answer: serde_json::Value = serde_json::from_str(&line).context("what the resolver answered")?;
    if let Some(error) = answer.get("error").and_then(serde_json::Value::as_str) {
        anyhow::bail!("{error}");
    }
    Ok(answer["ok"].take())
}
