//! The back end that asks the operator's own resolvers.
//!
//! Of several the one that answered fastest is asked, then the next; one that did not answer rests for a while. They are trusted with
//! whole chains of aliases and with the AD flag.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::cache::Wanted;
use crate::clock::Clock;
use crate::exchange::{ExchangeError, ask};
use crate::heard::Heard;
use crate::message::{Asking, rcode};
use crate::name::Name;
use crate::step::Step;

/// Wait for the first server, before the next one is asked as well as after.
const WAIT_MIN: Duration = Duration::from_millis(400);
const WAIT_MAX: Duration = Duration::from_secs(3);
/// Rounds over all servers.
const ROUNDS: u32 = 2;
/// Seconds for which a server that did not answer is asked last.
const REST_S: u32 = 5;

/// The operator's resolvers.
#[derive(Debug)]
pub struct Forward {
    servers: Vec<Server>,
    clock: Clock,
}

/// One of them.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    /// How long it takes, in microseconds, smoothed.
    usual_us: AtomicU64,
    /// Until when it is asked last.
    rests_until_s: AtomicU32,
}

/// How a server does, for whoever looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Where it is.
    pub address: SocketAddr,
    /// How long it takes, smoothed.
    pub usual: Duration,
    /// Whether it answered when it was last asked.
    pub answers: bool,
}

impl Forward {
    /// Asks these, which must not be none.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>, clock: Clock) -> Self {
        let server =
            |address| Server { address, usual_us: AtomicU64::new(0), rests_until_s: AtomicU32::new(0) };
        Self { servers: addresses.into_iter().map(server).collect(), clock }
    }

    /// What its servers say of `wanted`, in steps. Empty, when none says anything of use.
    pub async fn ask(&self, wanted: &Wanted) -> Vec<(Wanted, Step)> {
        let asking = Asking {
            rtype: wanted.rtype,
            recursion: true,
            dnssec_ok: wanted.dnssec_ok,
            checking_disabled: wanted.checking_disabled,
        };
        let mut failure = None;
        for round in 0..ROUNDS {
            for server in self.in_order() {
                match server.ask(&wanted.name, asking, round, &self.clock).await {
                    Ok(heard) if matches!(heard.code, rcode::NOERROR | rcode::NXDOMAIN) => {
                        return heard.steps(wanted, &Name::ROOT, self.clock.now_s());
                    }
                    Ok(heard) => failure = Some(heard.code),
                    Err(error) => tracing::debug!(server = %server.address, %error, "forward"),
                }
            }
            // A server that says "I can't" says so again.
            if failure.is_some() {
                break;
            }
        }
        Vec::new()
    }

    fn in_order(&self) -> Vec<&Server> {
        let now_s = self.clock.now_s();
        let mut servers: Vec<&Server> = self.servers.iter().collect();
        servers.sort_by_key(|server| {
            let rests = server.rests_until_s.load(Ordering::Relaxed) > now_s;
            (rests, server.usual_us.load(Ordering::Relaxed))
        });
        servers
    }

    /// How its servers do.
    pub fn health(&self) -> Vec<Health> {
        let now_s = self.clock.now_s();
        let health = |server: &Server| Health {
            address: server.address,
            usual: Duration::from_micros(server.usual_us.load(Ordering::Relaxed)),
            answers: server.rests_until_s.load(Ordering::Relaxed) <= now_s,
        };
        self.servers.iter().map(health).collect()
    }
}

impl Server {
    async fn ask(
        &self,
        name: &Name,
        asking: Asking,
        round: u32,
        clock: &Clock,
    ) -> Result<Heard, ExchangeError> {
        let usual = Duration::from_micros(self.usual_us.load(Ordering::Relaxed));
        let wait = (usual * 4).clamp(WAIT_MIN, WAIT_MAX) * 2u32.pow(round);
        let begun = clock.instant();
        let heard = ask(self.address, name, asking, wait.min(WAIT_MAX)).await;
        let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        match &heard {
            Ok(_) => {
                let before = self.usual_us.load(Ordering::Relaxed);
                let after = if before == 0 { took_us } else { before - before / 8 + took_us / 8 };
                self.usual_us.store(after.max(1), Ordering::Relaxed);
                self.rests_until_s.store(0, Ordering::Relaxed);
            }
            Err(_) => self.rests_until_s.store(clock.now_s() + REST_S, Ordering::Relaxed),
        }
        heard
    }
}
