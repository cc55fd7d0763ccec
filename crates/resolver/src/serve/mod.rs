//! Where questions come in and answers go out.
//!
//! ```text
//!   udp      one thread and socket for each core: a batch in, a batch out; what takes longer goes to the runtime
//!   stream   connections, a task for each: TCP and TLS carry messages one after the other
//!   https    a request and its response for each message, over such a connection
//!   quic     a stream for each message
//!   tls      the certificate of those who encrypt
//!   warning  where names lead that are warned of: a page, or on to the site
//!   sockets  what all of them listen at: opened here, or taken over from whoever listened before
//! ```

mod counts;
pub mod dnstap;
pub mod hits;
mod https;
pub mod quic;
pub mod sockets;
pub mod stream;
pub mod tls;
pub mod udp;
mod waiting;
pub mod warning;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use counts::{Counts, Sums};
use tokio::sync::{Semaphore, mpsc};

use crate::client::Transport;
use crate::name::Name;
use crate::resolver::{AtOnce, Resolver};
use crate::walk::Told;
use counts::Batch;
use dnstap::{Exchange, Tap};
use hits::Hits;
use waiting::{Waiting, Waits};

/// Zones that are given to others at the same time, at most.
const GIVING_MAX: usize = 8;
/// How long a connection may be without a question.
pub const IDLE: Duration = Duration::from_secs(20);
/// How long a message may take once it has begun, an answer to be taken, and a handshake.
const MESSAGE: Duration = Duration::from_secs(3);
/// Questions of one connection that are under way at most.
const UNDER_WAY_MAX: usize = 100;
/// How long who listens sleeps before it looks whether it shall end.
const LOOK_UP: Duration = Duration::from_millis(250);

/// What all who serve have in common.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Who answers.
    pub resolver: Arc<Resolver>,
    /// Where what takes longer runs.
    pub runtime: tokio::runtime::Handle,
    /// What is counted.
    pub counts: Arc<Counts>,
    /// Zones of which a primary said that there is a new version, and who said it.
    pub notified: mpsc::Sender<(Name, IpAddr)>,
    hits: Option<Arc<Hits>>,
    tap: Option<Arc<Tap>>,
    waiting: Arc<Waiting>,
    giving: Arc<Semaphore>,
    stop: Arc<AtomicBool>,
}

impl Serving {
    /// Serves by `resolver`; where zones are told of that have new versions.
    pub fn new(
        resolver: Arc<Resolver>,
        runtime: tokio::runtime::Handle,
    ) -> (Self, mpsc::Receiver<(Name, IpAddr)>) {
        let waiting = Arc::new(Waiting::new(resolver.secret()));
        let (notified, told) = mpsc::channel(64);
        let serving = Self {
            resolver,
            runtime,
            counts: Arc::default(),
            notified,
            hits: None,
            tap: None,
            waiting,
            giving: Arc::new(Semaphore::new(GIVING_MAX)),
            stop: Arc::default(),
        };
        (serving, told)
    }

    /// Puts what rules of measures do to whom there.
    #[must_use]
    pub fn recording(self, hits: Arc<Hits>) -> Self {
        Self { hits: Some(hits), ..self }
    }

    /// How many hits were neither recorded nor given to a collector, because there were too many.
    pub fn lost(&self) -> u64 {
        self.hits.as_ref().map_or(0, |hits| hits.lost()) + self.tap.as_ref().map_or(0, |tap| tap.lost())
    }

    /// Puts what other rules do there.
    #[must_use]
    pub fn tapped(self, tap: Arc<Tap>) -> Self {
        Self { tap: Some(tap), ..self }
    }

    /// What was done to somebody's question.
    #[inline]
    fn told(&self, told: &Told, exchange: Exchange<'_>) {
        if let Some(hits) = &self.hits {
            hits.told(told, exchange.question, exchange.from.ip());
        }
        if let Some(tap) = &self.tap {
            tap.told(told, exchange);
        }
    }

    /// Ends serving: nothing more is taken in, and what was begun is finished, or as much of it as `within` allows.
    pub fn stop(&self, within: Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let end = Instant::now() + within;
        // Who listens looks that often, and an answer is on its way a moment after it no longer waits.
        std::thread::sleep(LOOK_UP + LOOK_UP / 4);
        while self.waiting.count() > 0 && Instant::now() < end {
            std::thread::sleep(LOOK_UP / 4);
        }
        std::thread::sleep(LOOK_UP / 4);
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// How many questions wait for other servers.
    pub fn waiting(&self) -> usize {
        self.waiting.count()
    }

    /// What becomes of a message at once that came over a connection.
    fn first(&self, question: &[u8], from: SocketAddr, transport: Transport, counted: &mut Batch) -> First {
        counted.queries += 1;
        let mut answer = Vec::with_capacity(512);
        let at_once = {
            let policy = self.resolver.policy.load();
            self.resolver.answer(&policy, question, from.ip(), transport, &mut answer)
        };
        match at_once {
            AtOnce::Answered(told) => {
                counted.at_once += 1;
                if let Some(told) = told {
                    counted.told(&told);
                    self.told(&told, Exchange { question, answer: &answer, from, transport });
                    self.renew(&told, from);
                }
                First::Answer(answer)
            }
            AtOnce::Silent(told) => {
                counted.silent(told.as_ref());
                let exchange = Exchange { question, answer: &[], from, transport };
                told.iter().for_each(|told| self.told(told, exchange));
                First::Silence
            }
            AtOnce::Given(place) => {
                counted.at_once += 1;
                First::Give(place)
            }
            AtOnce::Notified(zone) => {
                counted.at_once += 1;
                // When many are told already, this one is fetched soon, too.
                let _ = self.notified.try_send((*zone, from.ip()));
                First::Answer(answer)
            }
            AtOnce::Later => match self.waiting.one_more(from.ip()) {
                Some(waits) => First::Later(waits),
                None => {
                    counted.refused_full += 1;
                    First::Silence
                }
            },
        }
    }

    /// What becomes of it then.
    async fn later(
        &self,
        question: &[u8],
        from: SocketAddr,
        transport: Transport,
        waits: Waits,
    ) -> Option<Vec<u8>> {
        let answer = self.resolver.resolve(question, from.ip(), transport).await;
        self.counts.later(answer.as_ref().map(|(answer, told)| (!answer.is_empty(), told)));
        if let Some((answer, told)) = &answer {
            self.told(told, Exchange { question, answer, from, transport });
        }
        drop(waits);
        answer.map(|(answer, _)| answer).filter(|answer| !answer.is_empty())
    }

    /// The one answer to a message that came alone; `None` where there shall be none.
    async fn one(&self, question: &[u8], from: SocketAddr, transport: Transport) -> Option<Vec<u8>> {
        let mut counted = Batch::default();
        let first = self.first(question, from, transport, &mut counted);
        self.counts.came(transport, &mut counted);
        match first {
            First::Answer(answer) => Some(answer),
            First::Later(waits) => self.later(question, from, transport, waits).await,
            // A zone takes more than one message.
            First::Silence | First::Give(_) => None,
        }
    }

    /// Fetches what nearly ran out, before anybody has to wait for it.
    fn renew(&self, told: &Told, client: SocketAddr) {
        let Some(wanted) = told.waning.clone() else { return };
        let Some(waits) = self.waiting.one_more(client.ip()) else { return };
        let resolver = Arc::clone(&self.resolver);
        self.runtime.spawn(async move {
            resolver.refresh(&wanted).await;
            drop(waits);
        });
    }
}

/// What becomes of a message at once.
enum First {
    /// It is answered.
    Answer(Vec<u8>),
    /// There is no answer.
    Silence,
    /// It takes longer, and has its place among those that wait.
    Later(Waits),
    /// It is for a zone that is given to others.
    Give(usize),
}
