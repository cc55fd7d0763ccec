//! FreeRADIUS between the access server and us, as its own documentation has it where accounting must not be lost: it writes
//! each packet to a `detail` file, answers, and forwards from there until we answer.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use noroshi_wire::radius::{Attribute, Packet, Secret, Status};

use super::{Known, Running, config, now_s, say, until_known, who};
use crate::mail::{free_port, until};
use crate::world::{Killed, server, start_freeradius};

const SECRET: &str = "between-nas-and-proxy";
const OUR_SECRET: &str = "between-proxy-and-us";
const SESSIONS: u32 = 600;

/// A proxy that writes down what it accepts, and forwards it from there.
fn start(program: &str, folder: &Path, front: u16, back: u16) -> Killed {
    let dir = folder.display();
    let with = format!(
        "client nas {{\n ipaddr = 127.0.0.1\n secret = {SECRET}\n}}\n\
         home_server noroshi {{\n type = acct\n ipaddr = 127.0.0.1\n port = {back}\n secret = {OUR_SECRET}\n\
         response_window = 2\n zombie_period = 2\n revive_interval = 1\n status_check = none\n}}\n\
         home_server_pool noroshi {{\n home_server = noroshi\n}}\n\
         realm noroshi {{\n acct_pool = noroshi\n}}\n\
         modules {{\n always ok {{\n rcode = ok\n }}\n\
         detail spool {{\n filename = {dir}/detail\n permissions = 0600\n locking = yes\n }}\n}}\n\
         server front {{\n listen {{\n type = acct\n ipaddr = 127.0.0.1\n port = {front}\n }}\n\
         accounting {{\n spool\n }}\n}}\n\
         server back {{\n listen {{\n type = detail\n filename = {dir}/detail\n load_factor = 100\n\
         poll_interval = 1\n retry_interval = 4\n }}\n\
         preacct {{\n update control {{\n &Proxy-To-Realm := \"noroshi\"\n }}\n }}\n\
         accounting {{\n ok\n }}\n}}\n"
    );
    start_freeradius(program, folder, &with)
}

/// An access server: sends, and sends again what is not acknowledged.
struct Nas {
    socket: UdpSocket,
    server: u16,
    secret: Secret,
    next: u8,
}

impl Nas {
    fn tell(&mut self, status: Status, session: u32, at_s: i64) {
        self.next = self.next.wrapping_add(1);
        let packet = Packet::accounting(self.next)
            .status(status)
            .text(Attribute::AcctSessionId, &format!("session-{session}"))
            .text(Attribute::UserName, &line(session))
            .v4(Attribute::FramedIpAddress, ip(session))
            .v4(Attribute::NasIpAddress, Ipv4Addr::new(192, 0, 2, 1))
            .number(Attribute::EventTimestamp, u32::try_from(at_s).unwrap());
        let packet = match status {
            Status::Stop => packet.number(Attribute::AcctSessionTime, 100),
            _ => packet,
        };
        let packet = packet.signed(&self.secret);
        until("an answer of FreeRADIUS", || {
            let _refused = self.socket.send_to(&packet, ("127.0.0.1", self.server));
            let mut answer = [0; 4096];
            let got = self.socket.recv(&mut answer).ok()?;
            (got >= 20 && answer[0] == 5 && answer[1] == self.next).then_some(())
        });
    }
}

fn line(session: u32) -> String {
    format!("sub{session:06}@example.ne.jp")
}

fn ip(session: u32) -> Ipv4Addr {
    Ipv4Addr::from(0xc633_6400 + session)
}

#[test]
fn what_freeradius_acknowledged_is_known_though_both_are_killed() {
    let Some(program) = server("NOROSHI_TEST_FREERADIUS") else { return };
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("freeradius");
    std::fs::create_dir(&spool).unwrap();
    let (front, back) = (free_port(), free_port());
    std::fs::write(folder.path().join("secret"), OUR_SECRET).unwrap();
    let config = config(
        folder.path(),
        &format!(
            "[radius]\nlisten = \"127.0.0.1:{back}\"\n[[radius.clients]]\nnet = \"127.0.0.1/32\"\nsecret-file = \"{}\"\n",
            folder.path().join("secret").display()
        ),
    );
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let secret = Secret::try_from(SECRET.as_bytes().to_vec()).unwrap();
    let mut nas = Nas { socket, server: front, secret, next: 0 };
    let mut freeradius = Some(start(&program, &spool, front, back));
    let mut noroshi = Some(Running::start(folder.path(), &config));
    let begun_s = now_s() - 1000;
    for session in 0..SESSIONS {
        match session % 300 {
            100 => drop(noroshi.take()),
            150 => {
                drop(freeradius.take());
                freeradius = Some(start(&program, &spool, front, back));
            }
            200 => noroshi = Some(Running::start(folder.path(), &config)),
            _ => {}
        }
        nas.tell(Status::Start, session, begun_s);
    }
    // Every other one is over, the others were heard of since.
    for session in 0..SESSIONS {
        match session % 2 {
            0 => nas.tell(Status::Stop, session, begun_s + 100),
            _ => nas.tell(Status::Interim, session, begun_s + 900),
        }
    }
    let acknowledged = Instant::now();
    let known: Vec<Known> =
        (0..SESSIONS).map(|n| Known { ip: ip(n), line: line(n), at_s: begun_s + 50 }).collect();
    let later: Vec<_> = (0..SESSIONS).map(|n| (ip(n), begun_s + 500)).collect();
    let expected: Vec<String> = (0..SESSIONS)
        .map(|n| {
            if n % 2 == 0 { "none no session on the address then".into() } else { format!("one {}", line(n)) }
        })
        .collect();
    until_known(folder.path(), &config, &known);
    until("the last of what FreeRADIUS wrote down", || {
        (who(folder.path(), &config, &later) == expected).then_some(())
    });
    say(format_args!(
        "FreeRADIUS: {SESSIONS} sessions over 2 kills of each side, all known {:.1} s after the last answer",
        acknowledged.elapsed().as_secs_f64()
    ));
    drop((noroshi, freeradius));
}
