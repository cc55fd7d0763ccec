//! Keeps a server no longer than this program lives. The keeper is a shell in a process group of its own
//! which starts the server and then reads a pipe whose other end only we hold: when that closes, because we
//! dropped it, panicked, were interrupted or killed outright, it stops the server and removes its folder. No
//! signal handler of ours could do the last.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

const SCRIPT: &str = r#"
dir=$1 signal=$2
shift 2
"$@" >"$dir/output" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -s "$signal" "$server" 2>/dev/null
wait "$server"
rm -rf -- "$dir" || { sleep 1; rm -rf -- "$dir"; }
"#;

/// A running server with its folder.
pub struct Keeper {
    shell: Child,
}

impl Keeper {
    /// Starts `server`, to be stopped by `signal`; `dir` goes with it.
    pub fn start(dir: TempDir, signal: &str, server: &Command) -> Result<Self> {
        use std::os::unix::process::CommandExt;
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(dir.path())
            .arg(signal)
            .arg(server.get_program())
            .args(server.get_args())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the keeper's shell")?;
        let _: std::path::PathBuf = dir.keep();
        Ok(Self { shell })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        if let Err(error) = self.shell.wait() {
            eprintln!("xtask: waiting for a server to stop: {error}");
        }
    }
}

/// What the server printed so far, for the error when it does not come up.
pub fn printed(dir: &Path) -> String {
    super::last_lines(&std::fs::read_to_string(dir.join("output")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_keeper_stops_its_server_and_removes_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_path_buf();
        let mut server = Command::new("/bin/sh");
        server.args(["-c", "echo $$ up; exec sleep 600"]);
        let keeper = Keeper::start(dir, "TERM", &server).unwrap();
        super::super::wait_until(|| {
            anyhow::ensure!(printed(&path).contains("up"));
            Ok(())
        })
        .unwrap();
        let pid = printed(&path).split_whitespace().next().unwrap().to_owned();
        drop(keeper);
        assert!(!path.exists());
        assert!(!Command::new("kill").args(["-0", &pid]).stderr(Stdio::null()).status().unwrap().success());
    }
}
