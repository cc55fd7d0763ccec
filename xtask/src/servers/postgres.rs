//! A private PostgreSQL: its own cluster in a temporary folder, trusting every local connection. The server
//! refuses to run as root, so as root it runs as the user its package made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::keeper::{Keeper, printed};
use super::{Ready, am_root, apt, free_port, on_path, output_of, server_folder, wait_until};

pub const HOW: &str = "install PostgreSQL's server programs (Debian: apt-get install postgresql)";

pub fn start() -> Result<Ready> {
    let programs = find_programs().map_or_else(install, Ok)?;
    let dir = server_folder("postgres")?;
    let path = dir.path().to_path_buf();
    let port = free_port()?;
    make_cluster(&programs, &path)?;

    let mut server = programs.command("postgres");
    server.arg("-D").arg(path.join("cluster")).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", ""]);
    // SIGQUIT is the stop that writes nothing down: the folder goes anyway.
    let keeper = Keeper::start(dir, "QUIT", &server)?;
    wait_until(|| make_database(&programs, port))
        .with_context(|| format!("it printed: {}", printed(&path)))?;

    let version = output_of(programs.command("postgres").arg("--version"))?;
    Ok(Ready {
        version: version.split_whitespace().nth(2).unwrap_or("of unknown version").to_owned(),
        environment: vec![("NOROSHI_TEST_POSTGRES", format!("postgres://noroshi@127.0.0.1:{port}/noroshi"))],
        _keeper: Some(keeper),
    })
}

/// Where the server's programs lie, and the user to run them as, if not the present one.
struct Programs {
    folder: PathBuf,
    user: Option<&'static str>,
}

impl Programs {
    fn command(&self, name: &str) -> Command {
        let program = self.folder.join(name);
        let Some(user) = self.user else {
            return Command::new(program);
        };
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(program);
        command
    }
}

/// The newest version in Debian's place, else whatever is on the path.
fn find_programs() -> Option<Programs> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").is_file() && bin.join("postgres").is_file())
        .max();
    let elsewhere =
        || on_path("pg_config").and_then(|program| output_of(Command::new(program).arg("--bindir")).ok());
    let folder = newest
        .map(|(_, bin)| bin)
        .or_else(|| {
            elsewhere().map(|bin| PathBuf::from(bin.trim())).filter(|bin| bin.join("initdb").is_file())
        })
        .or_else(|| {
            on_path("initdb").and_then(|program| Some(program.canonicalize().ok()?.parent()?.to_path_buf()))
        })?;
    Some(Programs { folder, user: am_root().then(unprivileged_user) })
}

fn unprivileged_user() -> &'static str {
    if output_of(Command::new("id").args(["-u", "postgres"])).is_ok() { "postgres" } else { "nobody" }
}

/// Installs the package, telling it not to make a cluster of the machine's own.
fn install() -> Result<Programs> {
    let folder = Path::new("/etc/postgresql-common/createcluster.d");
    let wish = folder.join("noroshi.conf");
    if am_root() {
        fs::create_dir_all(folder)?;
        fs::write(&wish, "create_main_cluster = false\n")?;
    }
    let installed = apt::install(&["postgresql"]);
    if wish.is_file() {
        fs::remove_file(&wish)?;
    }
    installed?;
    find_programs().context("installed, yet initdb is not found")
}

fn make_cluster(programs: &Programs, dir: &Path) -> Result<()> {
    let cluster = dir.join("cluster");
    fs::create_dir(&cluster)?;
    if let Some(user) = programs.user {
        output_of(Command::new("chown").arg(format!("{user}:")).arg(&cluster))?;
    }
    let mut initdb = programs.command("initdb");
    initdb
        .args(["-A", "trust", "-U", "noroshi", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
        .arg(&cluster);
    output_of(initdb.current_dir(dir)).map(drop).context("making the cluster")
}

fn make_database(programs: &Programs, port: u16) -> Result<()> {
    let mut createdb = programs.command("createdb");
    createdb.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "noroshi", "noroshi"]);
    output_of(createdb.current_dir("/")).map(drop)
}
