//! Kea's lease file, followed while Kea serves devices, cleans the file up every three seconds, and is killed.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Killed, Known, Running, config, now_s, say, until_known, who};
use crate::mail::{free_port, until};
use crate::world::server;

const DISCOVER: u8 = 1;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const RELEASE: u8 = 7;
/// Where the options begin, after the cookie (RFC 2131 section 2).
const OPTIONS_AT: usize = 240;

/// Devices behind one relay agent, which names their lines (RFC 3046).
struct Relay {
    socket: UdpSocket,
    server: u16,
}

struct Answer {
    kind: u8,
    ip: Ipv4Addr,
    server_id: Vec<u8>,
}

impl Relay {
    fn new(server: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        Self { socket, server }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    fn send(&self, kind: u8, device: u32, client: Ipv4Addr, options: &[u8]) {
        let [_, b, c, d] = device.to_be_bytes();
        let line = line(device);
        let mut packet = vec![1, 1, 6, 1];
        packet.extend(device.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend(client.octets());
        packet.extend([0; 8]);
        packet.extend([127, 0, 0, 1]);
        packet.extend([2, 0, 0, b, c, d]);
        packet.resize(OPTIONS_AT - 4, 0);
        packet.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind]);
        packet.extend(options);
        packet.extend([82, line.len() as u8 + 2, 2, line.len() as u8]);
        packet.extend(line.as_bytes());
        packet.push(255);
        self.socket.send_to(&packet, ("127.0.0.1", self.server)).unwrap();
    }

    /// The answer to this device; none while the server is away.
    fn answer(&self, device: u32) -> Option<Answer> {
        let mut packet = [0; 1500];
        loop {
            let length = self.socket.recv(&mut packet).ok()?;
            if packet[4..8] != device.to_be_bytes() {
                continue;
            }
            let ip = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
            let (mut kind, mut server_id, mut rest) = (0, Vec::new(), &packet[OPTIONS_AT..length]);
            while let [code, size, more @ ..] = rest {
                let (value, after) = more.split_at_checked((*size).into())?;
                match code {
                    53 => kind = value[0],
                    54 => server_id = value.to_vec(),
                    _ => {}
                }
                rest = after;
            }
            return Some(Answer { kind, ip, server_id });
        }
    }

    /// Gets an address for a device, where one was wished for that one; when it was acknowledged.
    fn lease(&self, device: u32, wish: Option<Ipv4Addr>) -> Option<Known> {
        let wished = wish.map(|ip| [&[50, 4][..], &ip.octets()].concat()).unwrap_or_default();
        self.send(DISCOVER, device, Ipv4Addr::UNSPECIFIED, &wished);
        let offer = self.answer(device)?;
        let chosen = [&[50, 4][..], &offer.ip.octets(), &[54, 4], &offer.server_id].concat();
        self.send(REQUEST, device, Ipv4Addr::UNSPECIFIED, &chosen);
        let ack = self.answer(device).filter(|answer| answer.kind == ACK)?;
        // A moment later than it was given, by more than the border.
        Some(Known { ip: ack.ip, line: line(device), at_s: now_s() + 2 })
    }

    fn release(&self, device: u32, ip: Ipv4Addr) {
        self.send(RELEASE, device, ip, &[54, 4, 127, 0, 0, 1]);
    }
}

fn line(device: u32) -> String {
    format!("port-{device:05}")
}

fn start_kea(program: &str, folder: &Path, port: u16, clients: u16) -> Killed {
    let dir = folder.display();
    let text = format!(
        r#"{{ "Dhcp4": {{
            "interfaces-config": {{ "interfaces": ["lo"], "dhcp-socket-type": "udp" }},
            "lease-database": {{ "type": "memfile", "persist": true, "name": "{dir}/leases4.csv", "lfc-interval": 3 }},
            "valid-lifetime": 3600, "store-extended-info": true,
            "subnet4": [ {{ "subnet": "198.51.0.0/16", "pools": [ {{ "pool": "198.51.1.0 - 198.51.99.255" }} ],
                            "relay": {{ "ip-addresses": ["127.0.0.1"] }} }} ],
            "loggers": [ {{ "name": "kea-dhcp4", "severity": "WARN", "output_options": [ {{ "output": "{dir}/kea.log" }} ] }} ] }} }}"#
    );
    std::fs::write(folder.join("kea.json"), text).unwrap();
    Killed::start(
        Command::new(program)
            .args(["-c", folder.join("kea.json").to_str().unwrap()])
            .args(["-p", &port.to_string(), "-P", &clients.to_string()])
            .env("KEA_PIDFILE_DIR", folder)
            .env("KEA_LOCKFILE_DIR", folder),
    )
}

#[test]
fn what_kea_acknowledged_is_known_though_both_are_killed_and_its_file_is_rewritten() {
    let Some(program) = server("NOROSHI_TEST_KEA") else { return };
    let folder = tempfile::tempdir().unwrap();
    let kea_folder = folder.path().join("kea");
    std::fs::create_dir(&kea_folder).unwrap();
    let config = config(
        folder.path(),
        &format!(
            "[follow.kea]\nfile = \"{}/leases4.csv\"\nformat = \"kea-leases\"\nparams = {{ line = [\"remote-id\"] }}\n",
            kea_folder.display()
        ),
    );
    let port = free_port();
    let relay = Relay::new(port);
    let mut kea = Some(start_kea(&program, &kea_folder, port, relay.port()));
    let mut noroshi = Some(Running::start(folder.path(), &config));
    let mut known: Vec<Known> = Vec::new();
    let mut device = 0;
    let mut lease = |count: u32, known: &mut Vec<Known>| {
        for _ in 0..count {
            device += 1;
            // A device whose server was killed asks again.
            known.push(until("a lease", || relay.lease(device, None)));
        }
    };
    for round in 0..4 {
        lease(150, &mut known);
        // Killed in mid-stream, while the other goes on.
        if round % 2 == 0 {
            drop(noroshi.take());
            lease(150, &mut known);
            noroshi = Some(Running::start(folder.path(), &config));
        } else {
            drop(kea.take());
            kea = Some(start_kea(&program, &kea_folder, port, relay.port()));
        }
    }
    until("the lease file to be cleaned up", || kea_folder.join("leases4.csv.2").exists().then_some(()));
    // When a lease ended is known where its release was read as it was written, so that one is looked at by itself.
    let given_up = known.remove(7);
    let took = until_known(folder.path(), &config, &known);
    relay.release(8, given_up.ip);
    let released_s = now_s();
    // Longer than it may take to be read and the border on both sides, so that the gap can be asked about.
    std::thread::sleep(Duration::from_secs(8));
    device += 1;
    let next = until("the released address", || relay.lease(device, Some(given_up.ip)));
    assert_eq!(next.ip, given_up.ip);
    until_known(folder.path(), &config, std::slice::from_ref(&next));
    let gap = who(folder.path(), &config, &[(given_up.ip, released_s + 4)]);
    assert_eq!(gap, ["none no session on the address then"]);
    say(format_args!(
        "Kea: {} leases acknowledged over 2 kills of each side, all known {:.1} s after the last",
        known.len(),
        took.as_secs_f64()
    ));
    drop((noroshi, kea));
}
