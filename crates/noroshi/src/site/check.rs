//! Whether sites still answer. Addresses come from lists that strangers write, so the fetcher is one that cannot be sent into
//! our own network: names are resolved here, every address is looked at, and the connection goes to the address that was looked at.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use noroshi_site::parts::registered;
use noroshi_site::{Address, Life};
use noroshi_store::StoreError;
use serde::Serialize;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::known::address;
use crate::house::House;
use crate::internet::is_public;
use crate::report::{self, plain, say};

/// How long one answer may take, redirects and all.
const ANSWER: Duration = Duration::from_secs(10);
/// How often a site may send us on.
const REDIRECTS: u32 = 3;
/// Headers at most, in bytes.
const HEADERS_BYTES_MAX: usize = 32 * 1024;
/// Between two questions to the same host.
const PAUSE: Duration = Duration::from_secs(1);
/// Sites that are asked at once at most.
const ASKED_MAX: u32 = 10_000;
/// After how many hours a site is asked again.
const AGAIN_H: [(Life, i64); 5] =
    [(Life::Answers, 24), (Life::Elsewhere, 24), (Life::Missing, 48), (Life::Gone, 72), (Life::Barred, 168)];

/// What came of it.
#[derive(Serialize)]
struct Asked<'a> {
    address: &'a str,
    life: &'a str,
    why: &'a str,
}

/// Asks one site, or those that are due.
pub fn run(house: &House, text: Option<&str>, limit: u32, json: bool) -> anyhow::Result<()> {
    let now = house.clock.now();
    let addresses: Vec<Address> = match text {
        Some(text) => vec![address(text)?],
        None => {
            let due = house.store.look("site.due", |tx| tx.sites_due(now, limit.min(ASKED_MAX)))?;
            due.iter().filter_map(|site| Address::parse(&site.address).ok()).collect()
        }
    };
    if addresses.is_empty() {
        eprintln!("No site is due.");
    }
    let agent = agent(is_public);
    let mut asked: HashMap<String, Instant> = HashMap::new();
    for address in addresses {
        let host = address.host_text();
        if let Some(before) = asked.get(&host) {
            std::thread::sleep(PAUSE.saturating_sub(before.elapsed()));
        }
        let (life, why) = ask(&agent, &address);
        asked.insert(host, Instant::now());
        let (key, now) = (address.key(), house.clock.now());
        let hours = AGAIN_H.iter().find(|(one, _)| *one == life).map_or(24, |(_, hours)| *hours);
        let due = now + jiff::SignedDuration::from_hours(hours);
        house.store.tx("site.life", |tx| {
            tx.put_site_life(&key, life.code(), now, due)?;
            Ok::<_, StoreError>(())
        })?;
        if json {
            report::json(&Asked { address: &key, life: life.code(), why: &why })?;
        } else {
            say!("{:<9} {}  {}", life.code(), address.defanged(), plain(&why));
        }
    }
    Ok(())
}

/// A client that goes only to addresses that `may`.
fn agent(may: fn(IpAddr) -> bool) -> Agent {
    let config = Config::builder()
        .timeout_global(Some(ANSWER))
        .max_redirects(REDIRECTS)
        .max_redirects_will_error(false)
        .max_response_header_size(HEADERS_BYTES_MAX)
        .http_status_as_error(false)
        // A proxy would resolve names itself, and nobody would look at what it found.
        .proxy(None)
        .user_agent(concat!("noroshi/", env!("CARGO_PKG_VERSION"), " (re-check of a listed site)"))
        .build();
    Agent::with_parts(config, DefaultConnector::new(), Guarded { may })
}

/// How a site answers, and why one says so.
fn ask(agent: &Agent, address: &Address) -> (Life, String) {
    // A page's existence is all that is asked; what it says is not fetched.
    let answer = agent.head(address.url()).call();
    let answer = match answer {
        Ok(answer) if [405, 501].contains(&answer.status().as_u16()) => agent.get(address.url()).call(),
        other => other,
    };
    match answer {
        Ok(answer) => {
            use ureq::ResponseExt as _;
            let there = answer.get_uri().host().unwrap_or_default().to_ascii_lowercase();
            let status = answer.status();
            let own = address.host_text();
            let same = there == own || registered(&there) == registered(&own);
            match status.as_u16() {
                _ if !same => (Life::Elsewhere, format!("it leads to {there}")),
                404 | 410 => (Life::Missing, status.to_string()),
                _ => (Life::Answers, status.to_string()),
            }
        }
        Err(ureq::Error::Io(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            (Life::Barred, error.to_string())
        }
        Err(error) => (Life::Gone, error.to_string()),
    }
}

/// Resolves names, and leaves out every address that may not be asked.
#[derive(Debug)]
struct Guarded {
    may: fn(IpAddr) -> bool,
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let all = DefaultResolver::default().resolve(uri, config, timeout)?;
        let mut good = self.empty();
        all.iter().filter(|there| (self.may)(there.ip())).for_each(|there| good.push(*there));
        if good.is_empty() {
            let why = "its address is private, local or special, and is not asked";
            return Err(ureq::Error::Io(io::Error::new(io::ErrorKind::PermissionDenied, why)));
        }
        Ok(good)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// Answers every question with these lines; how many there were is read from the port's last answer.
    fn server(answers: &'static [&'static str]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut peer, _) = listener.accept().unwrap();
                let mut asked = [0; 2048];
                let _ = peer.read(&mut asked);
                let _ = peer.write_all(format!("HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n").as_bytes());
            }
        });
        port
    }

    fn asked(answers: &'static [&'static str], may: fn(IpAddr) -> bool) -> Life {
        let port = server(answers);
        ask(&agent(may), &Address::parse(&format!("http://127.0.0.1:{port}/x")).unwrap()).0
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(asked(&["200 OK\r\nContent-Length: 0"], |_| true), Life::Answers);
        assert_eq!(asked(&["404 Not Found\r\nContent-Length: 0"], |_| true), Life::Missing);
        assert_eq!(
            asked(&["405 No\r\nContent-Length: 0", "200 OK\r\nContent-Length: 0"], |_| true),
            Life::Answers
        );
        assert_eq!(asked(&["garbage"], |_| true), Life::Gone);
    }

    #[test]
    fn neither_an_address_nor_a_redirect_leads_inside() {
        assert_eq!(asked(&[], is_public), Life::Barred);
        // Who may be asked sends us on to who may not.
        let sent_on = &["302 Found\r\nLocation: http://127.0.0.2:9/\r\nContent-Length: 0"];
        assert_eq!(asked(sent_on, |ip| ip == IpAddr::from([127, 0, 0, 1])), Life::Barred);
    }
}
