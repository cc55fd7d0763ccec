//! What the tests have in common: the program, data folders, recordings, and skipping with a reason.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The program.
pub fn noroshi(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_noroshi"));
    command.arg("--data-dir").arg(data_dir).env_remove("NOROSHI_CONFIG");
    command
}

/// Runs it with arguments and gives what it printed; fails the test unless it ends with 0.
pub fn run(data_dir: &Path, arguments: &[&str]) -> String {
    let output = run_any(data_dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs it with arguments, whatever comes of it.
pub fn run_any(data_dir: &Path, arguments: &[&str]) -> Output {
    noroshi(data_dir).args(arguments).output().unwrap()
}

/// The last line of what was printed, as JSON.
pub fn last_json(printed: &str) -> Value {
    serde_json::from_str(printed.lines().last().unwrap()).unwrap()
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A recording.
pub fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

/// A real server's address, or a printed reason to skip. In CI nothing may be skipped.
pub fn server(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        assert!(std::env::var("CI").is_err(), "{variable} is not set in CI");
        say(format_args!("SKIPPED: {variable} is not set; `cargo xtask test` starts the server and sets it"));
    }
    found
}

/// Writes a configuration like the demo's into a folder, with these lines added to its sections.
pub fn configure(
    folder: &Path,
    mail_server: &str,
    database: Option<&str>,
    mail_log: Option<&str>,
) -> PathBuf {
    let database = database.map(|d| format!("database = \"{d}\"\n")).unwrap_or_default();
    let log = mail_log.map(|l| format!("log = \"{l}\"\n")).unwrap_or_default();
    let config = format!(
        "{database}\n[operator]\nname = \"例示 ISP\"\ndesk = \"0120\"\nfrom = \"noroshi@example.ne.jp\"\npage = \"マイページ\"\n\
         [network]\nown = [\"198.51.100.0/24\", \"203.0.113.0/24\", \"2001:db8:12::/48\"]\nshared = [\"203.0.113.200/32\"]\n\
         [mail]\nserver = \"{mail_server}\"\nsettle-s = 0\n{log}\
         [portal]\nlisten = \"127.0.0.1:0\"\nbase-url = \"https://care.example.ne.jp\"\n\
         [console]\nlisten = \"127.0.0.1:0\"\n\
         [directory]\nfile = \"{}\"\n\
         [seized.gate]\naddress = \"client\"\ntime = \"time\"\nport = \"port\"\nmalware-name = \"mirai\"\n",
        testdata("directory.csv").display()
    );
    let path = folder.join("noroshi.toml");
    std::fs::write(&path, config).unwrap();
    path
}

/// Prints past the test runner, which keeps what a passing test prints to itself.
pub fn say(text: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    let _unread = writeln!(std::io::stderr(), "{text}");
}

/// A server that is killed when dropped.
pub struct Killed(Child);

impl Killed {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Starts FreeRADIUS in a folder of its own, with the clients, modules and servers that a test needs.
pub fn start_freeradius(program: &str, folder: &Path, with: &str) -> Killed {
    let dir = folder.display();
    let text = format!(
        "prefix = /usr\nlocalstatedir = {dir}\nlogdir = {dir}\nrun_dir = {dir}\ndb_dir = {dir}\n\
         libdir = /usr/lib/freeradius\npidfile = {dir}/pid\nproxy_requests = yes\n\
         log {{\n destination = files\n file = {dir}/log\n}}\n\
         security {{\n status_server = no\n}}\n\
         thread pool {{\n start_servers = 2\n max_servers = 4\n}}\n{with}"
    );
    std::fs::write(folder.join("radiusd.conf"), text).unwrap();
    Killed::start(Command::new(program).args(["-f", "-n", "radiusd", "-d"]).arg(folder))
}
