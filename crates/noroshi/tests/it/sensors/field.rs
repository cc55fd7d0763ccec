//! Where sensors are tried: captures of packets, networks of their own with a link between them that can be cut and loses packets, real NATS
//! servers in both, and the programs that run there.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use serde_json::Value;

use crate::nats;
use crate::world::{last_json, run_any, say, text};

pub const PATIENCE: Duration = Duration::from_secs(60);
pub const HUB: &str = "10.77.0.1";
/// What nobody may be told: the telescope's addresses begin so, and nothing else here does.
pub const SECRET: &str = "198.18.";

/// A capture (pcap, nanoseconds, raw IP) of packets, each at its time in milliseconds.
pub fn pcap(path: &Path, packets: impl Iterator<Item = (u64, Vec<u8>)>) {
    let mut file = b"\x4d\x3c\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x65\0\0\0".to_vec();
    for (at_ms, packet) in packets {
        let at = [(at_ms / 1000) as u32, (at_ms % 1000) as u32 * 1_000_000];
        for value in [at[0], at[1], packet.len() as u32, packet.len() as u32] {
            file.extend(value.to_le_bytes());
        }
        file.extend(packet);
    }
    std::fs::write(path, file).unwrap();
}

/// 2026-11-27T00:00:00Z, in milliseconds.
pub const NIGHT_MS: u64 = 1_795_737_600_000;

pub fn syn(from: [u8; 4], to: [u8; 4], port: u16, answers: bool) -> Vec<u8> {
    let mut packet = Vec::new();
    let tcp = PacketBuilder::ipv4(from, to, 50).tcp(4711, port, u32::from_be_bytes(to), 900).syn();
    let tcp = if answers { tcp.ack(7) } else { tcp };
    tcp.write(&mut packet, b"").unwrap();
    packet
}

/// So many SYNs and answers to addresses of the telescope, a millisecond apart.
pub fn capture(folder: &Path, packets: u32) -> PathBuf {
    let path = folder.join("night.pcap");
    let all = (0..packets).map(|n| {
        // Some in the telescope's own name.
        let ours = n % 100 == 7;
        let from =
            if ours { [198, 18, 9, 9] } else { [60 + (n % 40) as u8, 7, (n % 11) as u8, (n % 7) as u8] };
        (NIGHT_MS + u64::from(n), syn(from, [198, 18, (n >> 8) as u8, n as u8], 23, n % 40 == 1))
    });
    pcap(&path, all);
    path
}

/// Twenty minutes of a quiet telescope, and from the fifteenth on a botnet, in networks that begin with `first` and more, asking for a port.
pub fn with_a_botnet(path: &Path, begun_ms: u64, first: u8, port: u16) -> u64 {
    let noise =
        (0..1200u64).map(|n| (n, syn([first, 1, 2, (n % 50) as u8], [198, 18, 1, n as u8], 22, false)));
    let bots =
        (0..60u8).map(|n| (900 + 2 * u64::from(n), syn([first + n, 7, 7, 7], [198, 18, 2, n], port, false)));
    let mut all: Vec<_> = noise.chain(bots).map(|(at_s, packet)| (begun_ms + 1000 * at_s, packet)).collect();
    all.sort();
    let count = all.len() as u64;
    pcap(path, all.into_iter());
    count
}

pub fn ended_well(output: &Output) -> bool {
    output.status.success()
}

pub fn does(command: &mut Command) -> bool {
    command.output().as_ref().is_ok_and(ended_well)
}

/// Two networks with a link between them, gone when dropped.
pub struct Networks {
    pub hub: String,
    pub sensor: String,
}

impl Networks {
    /// None, with a printed reason, where they cannot be made.
    pub fn new(name: &str) -> Option<Self> {
        let id = std::process::id();
        let these = Self { hub: format!("noroshi-{name}-h{id}"), sensor: format!("noroshi-{name}-s{id}") };
        let made = these.make();
        if let Err(why) = &made {
            assert!(std::env::var("CI").is_err(), "in CI networks have to be made: {why}");
            say(format_args!(
                "SKIPPED: no networks of their own here (root, iproute2, nftables): {why} failed"
            ));
        }
        made.is_ok().then_some(these)
    }

    pub fn make(&self) -> Result<(), String> {
        let ip = |arguments: &str| {
            let arguments = arguments.replace("HUB", &self.hub).replace("SENSOR", &self.sensor);
            let done = does(Command::new("ip").args(arguments.split(' ')));
            done.then_some(()).ok_or_else(|| format!("ip {arguments}"))
        };
        ip("netns add HUB")?;
        ip("netns add SENSOR")?;
        ip("link add wire0 netns HUB type veth peer name wire0 netns SENSOR")?;
        for (network, address) in [("HUB", HUB), ("SENSOR", "10.77.0.2")] {
            ip(&format!("-n {network} addr add {address}/24 dev wire0"))?;
            ip(&format!("-n {network} link set wire0 up"))?;
            ip(&format!("-n {network} link set lo up"))?;
        }
        // One packet in ten is lost, either way.
        let rule = "table inet loss { chain in { type filter hook input priority 0; \
                    iifname \"wire0\" numgen random mod 100 < 10 counter drop; }; }";
        for network in [&self.hub, &self.sensor] {
            does(self.within(network, "nft").arg(rule)).then_some(()).ok_or("nft")?;
        }
        Ok(())
    }

    pub fn within(&self, network: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", network, program]);
        command
    }

    pub fn link(&self, state: &str) {
        assert!(does(Command::new("ip").args(["-n", &self.hub, "link", "set", "wire0", state])));
    }

    /// Packets that were lost on the way.
    pub fn lost(&self) -> u64 {
        let counted = [&self.hub, &self.sensor].map(|network| {
            let told = self.within(network, "nft").args(["list", "ruleset"]).output().unwrap();
            let told = text(&told.stdout);
            let mut words = told.split_whitespace().skip_while(|word| *word != "packets");
            words.nth(1).and_then(|count| count.parse::<u64>().ok()).unwrap_or(0)
        });
        counted.iter().sum()
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for network in [&self.hub, &self.sensor] {
            let _gone = Command::new("ip").args(["netns", "del", network]).output();
        }
    }
}

/// A process that says everything into a file, and is killed when dropped.
pub struct Process {
    pub child: Child,
    pub said: PathBuf,
}

impl Process {
    /// Adds to the file.
    pub fn start(command: &mut Command, said: &Path) -> Self {
        let file = || std::fs::OpenOptions::new().create(true).append(true).open(said).unwrap();
        let child = command.stdin(Stdio::null()).stdout(file()).stderr(file()).spawn().unwrap();
        Self { child, said: said.to_owned() }
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and gives what was said.
    pub fn end(mut self) -> String {
        assert!(does(Command::new("kill").arg(self.child.id().to_string())));
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{}", self.said());
        self.said()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A hub and a sensor in two networks, as `sensors new` sets them up.
pub struct Field {
    pub nets: Networks,
    pub server: String,
    pub folder: tempfile::TempDir,
}

impl Field {
    pub fn new(name: &str) -> Option<Self> {
        let server = nats::program()?;
        let nets = Networks::new(name)?;
        let folder = tempfile::tempdir().unwrap();
        let this = Self { nets, server, folder };
        let store = this.path("leaf");
        let made = ["darknet", "sensors", "new", "north", "--hub", HUB, "--store"];
        let made = run_any(&this.path("hub"), &[&made[..], &[store.to_str().unwrap()]].concat());
        assert!(made.status.success(), "{}", text(&made.stderr));
        this.certificates(&this.path("hub/sensors/nats"));
        Some(this)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn certificates(&self, folder: &Path) {
        let made = Command::new("sh").arg("certificates.sh").current_dir(folder).output().unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
    }

    pub fn nats_of_hub(&self) -> Process {
        let mut command = self.nets.within(&self.nets.hub, &self.server);
        command.args(["-c", "hub.conf"]).current_dir(self.path("hub/sensors/nats"));
        Process::start(&mut command, &self.path("nats-hub.log"))
    }

    pub fn nats_of_sensor(&self, configuration: &str) -> Process {
        let mut command = self.nets.within(&self.nets.sensor, &self.server);
        command.args(["-c", configuration]).current_dir(self.path("hub/sensors/nats"));
        Process::start(&mut command, &self.path("nats-sensor.log"))
    }

    pub fn sensor(&self, capture: &Path, pace: &str) -> Process {
        let mut command = self.nets.within(&self.nets.sensor, env!("CARGO_BIN_EXE_noroshi"));
        command.env_remove("NOROSHI_CONFIG").arg("--data-dir").arg(self.path("sensor"));
        command.args([
            "sensor",
            "--name",
            "north",
            "--network",
            "198.18.0.0/15",
            "--json",
            "--every-ms",
            "100",
        ]);
        command.args(["--user", "sensor", "--password-file"]).arg(self.path("hub/sensors/north.password"));
        command.args(["--stream-mib", "512", "--pace", pace, "--replay"]).arg(capture);
        Process::start(&mut command, &self.path("sensor.log"))
    }

    pub fn hub(&self) -> Process {
        let mut command = self.nets.within(&self.nets.hub, env!("CARGO_BIN_EXE_noroshi"));
        command.env_remove("NOROSHI_CONFIG").arg("--data-dir").arg(self.path("hub"));
        command.args(["darknet", "hub", "--json", "--network", "198.18.0.0/15", "--user", "hub"]);
        // Organisations around the telescope as well: whoever sends in its name is no reason to tell its addresses.
        command.args([
            "--organisation",
            "all=0.0.0.0/0",
            "--silent-s",
            "2",
            "--again-after-s",
            "3",
            "--every-s",
            "1",
        ]);
        command.arg("--password-file").arg(self.path("hub/sensors/hub.password"));
        command.arg("--keep").arg(self.path("kept"));
        Process::start(&mut command, &self.path("hub.log"))
    }

    /// How the sensor is by the hub's books.
    pub fn listed(&self) -> Value {
        last_json(&text(&run_any(&self.path("hub"), &["darknet", "sensors", "list", "--json"]).stdout))
    }

    pub fn packets(&self) -> u64 {
        self.listed()["packets"].as_u64().unwrap()
    }
}

pub fn has_gap(said: &str, state: &str) -> bool {
    said.lines().any(|line| line.starts_with("{\"gap\":") && line.contains(&format!("\"state\":\"{state}\"")))
}

/// How long the link is cut, and how many packets are sent a second: seconds in the gate, what one wants by hand.
pub fn wanted(variable: &str, usual: u32) -> u32 {
    std::env::var(variable).map_or(usual, |wanted| wanted.parse().unwrap())
}
