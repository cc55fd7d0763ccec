//! Fetching over HTTP (RFC 9110): a conditional request, the body into the spool, and a refusal in terms of what to do
//! next.
//!
//! Only the configured address is asked: a redirect is followed on the same scheme, host and port, unless the source
//! allows any host, and never from https to http; a password goes nowhere but to the configured host.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use base64::Engine as _;
use jiff::SignedDuration;
use noroshi_model::clock::Clock;
use noroshi_store::sources::SourceState;
use ureq::http::header::{self, HeaderMap, HeaderName};
use ureq::http::{Response, StatusCode, Uri};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body, Proxy};

use super::Trouble;
use super::schedule::retry_after;
use super::settings::{SECRET, Source, WebOrigin, secret};
use super::spool::{Meta, Spool, SpoolError, Spooled};
use crate::trust::roots;

/// Redirects followed.
const REDIRECTS_MAX: usize = 5;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(20);
/// Longest silence of a server.
const SILENCE: Duration = Duration::from_secs(60);
/// Most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a validator that is kept.
const VALIDATOR_BYTES_MAX: usize = 1024;
/// Bytes read at once.
const PIECE: usize = 64 << 10;
/// Who asks.
const USER_AGENT: &str = concat!("noroshi/", env!("CARGO_PKG_VERSION"));

/// Fetches a source; `None` where nothing changed since `known`.
pub fn fetch(
    clock: &dyn Clock,
    source: &Source,
    web: &WebOrigin,
    known: Option<&SourceState>,
    spool: &Spool,
) -> Result<Option<Spooled>, Trouble> {
    let now = clock.now();
    let agent = agent(web).map_err(Trouble::hopeless)?;
    let mut response = ask(&agent, web, known)?;
    let status = response.status();
    let conditional = known.is_some_and(|k| k.etag.is_some() || k.modified.is_some());
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if conditional => return Ok(None),
        StatusCode::NO_CONTENT => return Ok(None),
        _ => return Err(refusal(web, status, response.headers(), now)),
    }
    let meta = Meta {
        file_name: file_name(response.headers(), &web.url),
        at: now,
        setting: source.setting.clone(),
        etag: validator(response.headers(), header::ETAG),
        modified: validator(response.headers(), header::LAST_MODIFIED),
    };
    let mut writing = spool.begin(now, source.max_bytes).map_err(anyhow::Error::from)?;
    let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
    let mut piece = vec![0; PIECE];
    loop {
        let read = body.read(&mut piece).with_context(|| format!("{} broke off", web.url))?;
        if read == 0 {
            break;
        }
        writing.add(&piece[..read]).map_err(|e| {
            let hopeless = matches!(e, SpoolError::TooLarge(_));
            Trouble { hopeless, ..anyhow::Error::from(e).context(web.url.clone()).into() }
        })?;
    }
    Ok(Some(writing.finish(meta).map_err(anyhow::Error::from)?))
}

/// What an answer that is no body means.
fn refusal(web: &WebOrigin, status: StatusCode, headers: &HeaderMap, now: jiff::Timestamp) -> Trouble {
    let asked = headers.get(header::RETRY_AFTER).and_then(|v| v.to_str().ok());
    let asked: Option<SignedDuration> = asked.and_then(|text| retry_after(text, now));
    let passing = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    let remedy = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": check user, password-file, secret-file",
        StatusCode::NOT_FOUND | StatusCode::GONE => ": check the url",
        _ => "",
    };
    Trouble { why: anyhow!("{} answered {status}{remedy}", web.url), hopeless: !passing, asked }
}

fn agent(web: &WebOrigin) -> anyhow::Result<Agent> {
    let proxy = web.proxy.as_deref().map(Proxy::new).transpose().context("proxy")?;
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(SILENCE.min(web.timeout)))
        .timeout_global(Some(web.timeout))
        .user_agent(USER_AGENT)
        // Unpacked by the intake, within its bounds.
        .accept_encoding("gzip")
        .max_response_header_size(HEAD_BYTES_MAX)
        .max_idle_connections(0)
        .tls_config(TlsConfig::builder().root_certs(roots(web.ca_file.as_deref())?).build());
    Ok(config.build().new_agent())
}

/// Asks, following redirects as far as they are allowed.
fn ask(agent: &Agent, web: &WebOrigin, known: Option<&SourceState>) -> Result<Response<Body>, Trouble> {
    let secret = web.secret_file.as_deref().map(secret).transpose()?.unwrap_or_default();
    let first: Uri = web.url.replace(SECRET, &secret).parse().with_context(|| web.url.clone())?;
    let mut at = first.clone();
    for _ in 0..=REDIRECTS_MAX {
        let mut request = agent.get(at.clone());
        if let Some(etag) = known.and_then(|k| k.etag.as_deref()) {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(modified) = known.and_then(|k| k.modified.as_deref()) {
            request = request.header(header::IF_MODIFIED_SINCE, modified);
        }
        if same_place(&first, &at) {
            for (name, value) in &web.headers {
                request = request.header(name, value.replace(SECRET, &secret));
            }
            if let Some(login) = &web.login {
                let password = super::settings::secret(&login.password_file)?;
                let both = format!("{}:{password}", login.user);
                let both = base64::engine::general_purpose::STANDARD.encode(both);
                request = request.header(header::AUTHORIZATION, format!("Basic {both}"));
            }
        }
        let response = request.call().map_err(|e| unasked(&e, web))?;
        let moved = [301, 302, 303, 307, 308].contains(&response.status().as_u16());
        let Some(to) = response.headers().get(header::LOCATION).filter(|_| moved) else {
            return Ok(response);
        };
        let to = to.to_str().context("a redirect to nowhere")?;
        at = redirected(web, &first, &at, to).map_err(Trouble::hopeless)?;
    }
    Err(Trouble::hopeless(anyhow!("{} leads through more than {REDIRECTS_MAX} redirects", web.url)))
}

fn unasked(error: &ureq::Error, web: &WebOrigin) -> Trouble {
    // The address in it would be the one with the secret.
    anyhow!(
        "{} cannot be fetched: {}",
        web.url,
        if let ureq::Error::BadUri(_) = error { "not an address".to_owned() } else { error.to_string() }
    )
    .into()
}

fn same_place(a: &Uri, b: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    a.scheme() == b.scheme()
        && a.host().map(str::to_ascii_lowercase) == b.host().map(str::to_ascii_lowercase)
        && port(a) == port(b)
}

/// Where a redirect leads, if it may lead there.
fn redirected(web: &WebOrigin, first: &Uri, from: &Uri, location: &str) -> anyhow::Result<Uri> {
    let scheme = from.scheme_str().unwrap_or("https");
    let authority = from.authority().map_or("", |a| a.as_str());
    let location = location.split('#').next().unwrap_or_default();
    let text = if location.contains("://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", from.path())
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let to: Uri = text.parse().context("a redirect to nowhere")?;
    let host = to.host().unwrap_or_default();
    if !same_place(first, &to) {
        ensure!(
            web.redirects_anywhere,
            "{} redirects to {host}: if that is right, set url to it, or redirects-anywhere = true",
            web.url
        );
        let fine = to.scheme_str() == Some("https") || (scheme == "http" && to.scheme_str() == Some("http"));
        if !fine {
            bail!("{} redirects from https to something else ({host})", web.url);
        }
    }
    Ok(to)
}

/// A validator, unless it is odd or long.
fn validator(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    (!text.is_empty() && text.len() <= VALIDATOR_BYTES_MAX).then(|| text.to_owned())
}

/// The name a server gives to what it sends, or the last part of the address.
fn file_name(headers: &HeaderMap, url: &str) -> Option<String> {
    let given = headers.get(header::CONTENT_DISPOSITION).and_then(|v| v.to_str().ok());
    let given = given.and_then(|text| text.split("filename=").nth(1)).map(|name| {
        let name = name.trim_start_matches('"');
        name.split(['"', ';']).next().unwrap_or_default()
    });
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').next().filter(|last| !last.contains(SECRET));
    given.or(last).and_then(plain_name)
}

/// A file name from outside, without folders and control characters; `None` where nothing is left.
pub fn plain_name(name: &str) -> Option<String> {
    const CHARS_MAX: usize = 200;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect();
    let name = name.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(more: &str) -> WebOrigin {
        let text = format!("format = \"x\"\nurl = \"https://a.example/dir/list.csv\"\n{more}");
        match Source::read("feed", &toml::from_str(&text).unwrap()).unwrap().origin {
            super::super::Origin::Web(web) => web,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_redirect_stays_on_the_host_and_never_leaves_https() {
        let from: Uri = "https://a.example/dir/list.csv".parse().unwrap();
        let to = |web: &WebOrigin, location: &str| {
            redirected(web, &from, &from, location).map(|uri| uri.to_string())
        };
        let (home, away) = (web(""), web("redirects-anywhere = true"));
        for (location, found) in [
            ("/b", "https://a.example/b"),
            ("b", "https://a.example/dir/b"),
            ("?x=1", "https://a.example/dir/list.csv?x=1"),
            ("https://A.example:443/b#c", "https://A.example:443/b"),
            ("//a.example/b", "https://a.example/b"),
        ] {
            assert_eq!(to(&home, location).unwrap(), found);
        }
        let elsewhere =
            ["https://b.example/", "http://a.example/", "https://a.example:8443/", "//169.254.169.254/"];
        for location in elsewhere {
            assert!(to(&home, location).is_err(), "{location}");
        }
        assert!(to(&away, "https://b.example/").is_ok() && to(&away, "http://b.example/").is_err());
    }

    #[test]
    fn names_from_outside_are_names_only() {
        let mut headers = HeaderMap::new();
        assert_eq!(file_name(&headers, "https://a/b/c.csv?key=1").as_deref(), Some("c.csv"));
        assert_eq!(file_name(&headers, "https://a/{secret}"), None);
        let given = "attachment; filename=\"../../2026-11-22-scan_dns.csv\"; x=y".parse().unwrap();
        headers.insert(header::CONTENT_DISPOSITION, given);
        assert_eq!(file_name(&headers, "https://a/").as_deref(), Some("2026-11-22-scan_dns.csv"));
    }
}
