//! A receiver over HTTP: each parcel a `POST`, acknowledged by any 2xx. What a busy or absent receiver did not take is
//! offered again, later and later, under the same `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), so that
//! a receiver whose answer was lost can drop the repeat.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use noroshi_model::Id;
use noroshi_wire::out::stix::{BUNDLE_END, bundle_begin};
use ureq::http::Uri;

use super::Receiver;
use super::local::name;
use super::select::{Format, Parcel};

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(60);
/// Pause before the second offer; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause, also where the receiver asks for a longer one.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Bytes of an answer that are told.
const ANSWER_SHOWN: u64 = 300;

/// Doubling pauses between offers.
pub struct Patience {
    tries: u32,
    pause: Duration,
}

impl Patience {
    pub fn new(tries: u32) -> Self {
        Self { tries, pause: PAUSE }
    }

    /// Waits before another offer; the error where it was the last one.
    pub fn wait(&mut self, to: &str, why: anyhow::Error, asked: Option<Duration>) -> anyhow::Result<()> {
        self.tries -= 1;
        if self.tries == 0 {
            return Err(
                why.context(format!("{to} did not take the events; nothing is lost, run again to go on"))
            );
        }
        let pause = asked.unwrap_or(self.pause).min(PAUSE_MAX);
        eprintln!("noroshi: {to} did not take the events, again in {} s: {why:#}", pause.as_secs_f64());
        std::thread::sleep(pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}

/// Whether an authority is this machine.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The receiver.
pub struct Post {
    agent: ureq::Agent,
    url: String,
    format: Format,
    authorization: Option<String>,
    tries: u32,
    key: Id,
}

/// What an answer means.
enum Answer {
    Taken,
    Again(anyhow::Error, Option<Duration>),
}

impl Post {
    /// Checks the address; asks nothing yet.
    pub fn new(url: &str, format: Format, token: Option<&str>, tries: u32, key: Id) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is no address"))?;
        let authority = uri.authority().with_context(|| format!("{url} names no host"))?;
        ensure!(!authority.as_str().contains('@'), "put the token into a file and name it with --token-file");
        ensure!(
            uri.scheme_str() == Some("https") || is_loopback(authority.host()),
            "events leave this machine over https:// only ({url})"
        );
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("noroshi/", env!("CARGO_PKG_VERSION")))
            .build();
        let authorization = token.map(|token| format!("Bearer {token}"));
        Ok(Self { agent: config.new_agent(), url: url.to_owned(), format, authorization, tries, key })
    }

    fn offer(&self, key: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let mut request = self
            .agent
            .post(&self.url)
            .header("Content-Type", self.format.media_type())
            .header("Idempotency-Key", key);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = match request.send(body) {
            Ok(response) => response,
            Err(e) => return Ok(Answer::Again(e.into(), None)),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(Answer::Taken);
        }
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let asked = header("retry-after").and_then(|s| s.parse().ok()).map(Duration::from_secs);
        let elsewhere = header("location").map(str::to_owned);
        let text = response.body_mut().with_config().limit(ANSWER_SHOWN).lossy_utf8(true).read_to_string();
        let text: String =
            text.unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if status.is_redirection() {
            bail!(
                "{} answers {status}: name the address it moved to ({})",
                self.url,
                elsewhere.unwrap_or_default()
            );
        }
        let why = anyhow::anyhow!("{status} {text}");
        match status.as_u16() {
            408 | 425 | 429 | 500..=599 => Ok(Answer::Again(why, asked)),
            _ => Err(why.context(format!("{} refuses the events", self.url))),
        }
    }
}

impl Receiver for Post {
    fn give(&mut self, parcel: &Parcel) -> anyhow::Result<()> {
        let range = [parcel.first, parcel.last].map(u64::to_be_bytes);
        let key = Id::of("export-parcel", &[self.key.as_str().as_bytes(), &range[0], &range[1]]);
        // A string, as a structured header field has it.
        let key = format!("\"{key}\"");
        let bundle;
        let body = if self.format == Format::Stix {
            bundle = [bundle_begin(&name(parcel)).as_bytes(), &parcel.bytes, BUNDLE_END.as_bytes()].concat();
            bundle.as_slice()
        } else {
            &parcel.bytes
        };
        let mut patience = Patience::new(self.tries);
        loop {
            match self.offer(&key, body)? {
                Answer::Taken => return Ok(()),
                Answer::Again(why, asked) => patience.wait(&self.url, why, asked)?,
            }
        }
    }
}
