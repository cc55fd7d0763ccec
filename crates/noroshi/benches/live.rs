//! The telescope on a real interface: packets over a veth pair at a steady rate, from a million senders, and what became of each.
//!
//! Needs root (`ip link add`, `CAP_NET_RAW`), and says so where it is not. `NOROSHI_BENCH_LIVE_PPS` (a million) and
//! `NOROSHI_BENCH_LIVE_S` (10; 60 for the figure in the book); `NOROSHI_BENCH_LIVE_WITH` has further options (`--statistics`, `--keep DIR`).
//! `NOROSHI_BENCH_LIVE_THREADS` (2) send. They share the machine with the telescope, and the kernel hands each packet over in the sender's time.
//!
//! Among them, one after the other, addresses of a hundred organisations: how long it takes from the packet's time until its alert, and the
//! message that tells it, are in the database.

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    println!("not run: AF_PACKET is Linux's");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::IoSlice;
    use std::os::fd::{AsRawFd as _, OwnedFd};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use nix::errno::Errno;
    use nix::ifaddrs::getifaddrs;
    use nix::sys::socket::{
        AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, bind, sendmmsg, setsockopt,
        socket,
    };
    use nix::{libc, setsockopt_impl, sockopt_impl};

    const SENDERS: u64 = 1_000_000;
    const OURS: &str = "noroshi-b0";
    const THEIRS: &str = "noroshi-b1";
    /// Packets that are sent at once.
    const AT_ONCE: usize = 256;

    fn number(name: &str, default: u64) -> u64 {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    fn ip(args: &[&str]) -> bool {
        Command::new("ip").args(args).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// The pair, gone when it is dropped.
    struct Pair;

    impl Pair {
        fn new() -> Option<Self> {
            let made = ip(&["link", "add", OURS, "type", "veth", "peer", "name", THEIRS]);
            let pair = made.then_some(Self)?;
            for end in [OURS, THEIRS] {
                // Nothing but what is sent here: no neighbours asked for, no addresses of IPv6.
                let _there = std::fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1");
                ip(&["link", "set", end, "arp", "off", "up"]);
            }
            Some(pair)
        }
    }

    impl Drop for Pair {
        fn drop(&mut self) {
            ip(&["link", "del", OURS]);
        }
    }

    /// Organisations, each with one address.
    const ORGANISATIONS: u64 = 100;

    /// A data folder in which they are registered.
    struct Registered(tempfile::TempDir);

    impl Registered {
        fn new() -> Self {
            let registered = Self(tempfile::tempdir().expect("a folder"));
            for n in 0..ORGANISATIONS {
                let (key, prefix) = (format!("o{n}"), format!("203.0.113.{n}/32"));
                let by = ["--by", "bench"];
                registered.run(&[&["add", &key, "--mail", "soc@example.jp"], &by[..]].concat());
                registered.run(&[&["range", "add", &key, &prefix], &by[..]].concat());
                registered.run(&[&["range", "prove", &key, &prefix, "--vouch", "x"], &by[..]].concat());
            }
            registered
        }

        fn noroshi(&self) -> Command {
            let mut command = Command::new(env!("CARGO_BIN_EXE_noroshi"));
            command.arg("--data-dir").arg(self.0.path()).env_remove("NOROSHI_CONFIG");
            command
        }

        fn run(&self, typed: &[&str]) -> Vec<serde_json::Value> {
            let output = self.noroshi().arg("organisation").args(typed).output().expect("noroshi starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
        }

        /// Says how long it took from each address's first packet to its alert and its message.
        fn tell(&self) {
            let time = |value: &serde_json::Value, key: &str| {
                value[key].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).expect("a time")
            };
            let alerts = self.run(&["alerts", "--json", "--limit", "1000"]);
            assert_eq!(alerts.len() as u64, ORGANISATIONS, "each address is told of once");
            let (mut alerted, mut told) = (Vec::new(), Vec::new());
            for alert in &alerts {
                let messages =
                    self.run(&["messages", alert["organisation"].as_str().expect("a key"), "--json"]);
                assert_eq!(messages.len(), 1, "{alert}");
                let first = time(alert, "first");
                alerted.push((time(alert, "alerted") - first).total(jiff::Unit::Second).expect("a span"));
                told.push((time(&messages[0], "made") - first).total(jiff::Unit::Second).expect("a span"));
            }
            for (what, mut took) in [("alert", alerted), ("message", told)] {
                took.sort_by(f64::total_cmp);
                let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
                println!("packet to {what} in the database: p50 {half:.3} s, p99 {most:.3} s");
            }
        }
    }

    /// A SYN of one of the senders, to somewhere in 198.18.0.0/16.
    fn fill(bytes: &mut [u8; 54], n: u64, member_every: u64) {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        bytes.fill(0);
        bytes[0] = 2;
        bytes[6] = 2;
        bytes[12..24].copy_from_slice(&[8, 0, 0x45, 0, 0, 40, n as u8, 0, 0, 0, 50, 6]);
        bytes[26..30].copy_from_slice(&(0x2000_0000 + (mixed % SENDERS) as u32 * 7).to_be_bytes());
        if n % member_every == member_every / 2 {
            // The sender may be slower than wished, or no slower: each address comes, and some come again.
            let member = (n / member_every % ORGANISATIONS) as u8;
            bytes[26..30].copy_from_slice(&[203, 0, 113, member]);
        }
        bytes[30..34].copy_from_slice(&(0xc612_0000 | (mixed >> 8) as u32 & 0xffff).to_be_bytes());
        bytes[34..38].copy_from_slice(&[0x12, 0x67, 0, [23, 80, 81, 22][n as usize % 4]]);
        bytes[38..42].copy_from_slice(&(mixed as u32).to_be_bytes());
        bytes[46..48].copy_from_slice(&[0x50, 2]);
    }

    sockopt_impl!(
        /// Frames go to the interface at once, by no queue before it (packet(7)).
        PacketQdiscBypass,
        SetOnly,
        libc::SOL_PACKET,
        libc::PACKET_QDISC_BYPASS,
        bool
    );

    /// A socket through which frames go to an interface as they are.
    fn out(interface: &str) -> nix::Result<OwnedFd> {
        let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), None)?;
        setsockopt(&fd, PacketQdiscBypass, &true)?;
        let address = getifaddrs()?
            .filter(|there| there.interface_name == interface)
            .find_map(|there| there.address?.as_link_addr().copied());
        bind(fd.as_raw_fd(), &address.ok_or(Errno::ENODEV)?)?;
        Ok(fd)
    }

    /// Sends so many a second, from this number on; gives back how many were sent.
    fn send(first: u64, pps: u64, for_s: u64) -> nix::Result<u64> {
        let fd = out(THEIRS)?;
        let mut headers = MultiHeaders::<LinkAddr>::preallocate(AT_ONCE, None);
        let mut packets = [[0u8; 54]; AT_ONCE];
        let member_every = (pps * for_s / ORGANISATIONS / 2).max(1);
        let (begun, mut sent) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_secs(for_s) {
            let due = (begun.elapsed().as_secs_f64() * pps as f64) as u64;
            if due < sent + AT_ONCE as u64 {
                // Whoever watches may have the processor meanwhile.
                std::thread::yield_now();
                continue;
            }
            packets.iter_mut().zip(first + sent..).for_each(|(packet, n)| fill(packet, n, member_every));
            let slices: Vec<_> = packets.iter().map(|packet| [IoSlice::new(packet)]).collect();
            let (none, no_flags) = ([const { None }; AT_ONCE], MsgFlags::empty());
            let done = sendmmsg(fd.as_raw_fd(), &mut headers, &slices, none, [], no_flags)?;
            sent += done.count() as u64;
        }
        Ok(sent)
    }

    /// Sends at a steady rate by so many threads; gives back how many were sent.
    fn send_all(threads: u64, pps: u64, for_s: u64) -> u64 {
        let begun = Instant::now();
        let sent = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || send(thread * pps * for_s, pps / threads, for_s)))
                .collect();
            let sent = senders.into_iter().map(|sender| sender.join().expect("it ends"));
            sent.map(|sent| sent.expect("packets are sent")).sum::<u64>()
        });
        let took_s = begun.elapsed().as_secs_f64();
        println!("sent {sent} in {took_s:.1} s: {:.0} a second", sent as f64 / took_s);
        sent
    }

    pub fn main() {
        let (pps, for_s) = (number("NOROSHI_BENCH_LIVE_PPS", 1_000_000), number("NOROSHI_BENCH_LIVE_S", 10));
        let threads = number("NOROSHI_BENCH_LIVE_THREADS", 2).max(1);
        let Some(_pair) = Pair::new() else {
            println!("not run: a veth pair cannot be made here (that needs root and iproute2)");
            return;
        };
        let registered = Registered::new();
        let mut watching = registered.noroshi();
        watching.args(["darknet", "live", "--json", "--alert", "--interface", OURS]);
        watching.args(["--network", "198.18.0.0/16"]);
        watching.args(std::env::var("NOROSHI_BENCH_LIVE_WITH").unwrap_or_default().split_whitespace());
        let watching = watching.stdout(Stdio::piped()).spawn().expect("noroshi starts");
        std::thread::sleep(Duration::from_secs(1));
        let sent = send_all(threads, pps, for_s);
        std::thread::sleep(Duration::from_secs(1));
        let pid = watching.id().to_string();
        Command::new("kill").arg(&pid).status().expect("it is told to stop");
        let output = watching.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stdout);
        let told: serde_json::Value =
            serde_json::from_str(text.lines().last().expect("it tells")).expect("JSON");
        let of = |key: &str| told[key].as_f64().unwrap_or(f64::NAN);
        println!("seen {} of {sent}, lost {} by the kernel's count", told["packets"], told["dropped"]);
        println!(
            "{} senders, {:.1} s of CPU, {:.0} MiB",
            told["sources"],
            of("cpu_s"),
            of("rss_max_bytes") / f64::from(1 << 20)
        );
        registered.tell();
        assert_eq!(of("packets") + of("dropped"), sent as f64, "each packet is seen, or counted as lost");
    }
}
