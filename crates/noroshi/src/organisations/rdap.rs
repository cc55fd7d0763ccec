//! What a registry says of a network, by RDAP (RFC 7480, 9082, 9083): which registry is asked says IANA's list (RFC 9224).
//!
//! Only what a proof needs is read: from where to where the network goes, and its remarks, which only who holds it can change.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ipnet::IpNet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;

use super::settings::AlertFile;
use crate::export::is_loopback;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Most bytes of one.
const BYTES_MAX: u64 = 1 << 20;
/// Redirects that are followed: a registry sends on to the one that knows (RFC 7480 section 5.2).
const REDIRECTS: u32 = 3;

/// A network, as its registry has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    object_class_name: String,
    start_address: IpAddr,
    end_address: IpAddr,
    /// What the registry calls it.
    #[serde(default)]
    pub handle: String,
    #[serde(default)]
    remarks: Vec<Remark>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Remark {
    #[serde(default)]
    description: Vec<String>,
}

/// RFC 9224 section 4: prefixes, and the servers for them.
#[derive(Debug, Deserialize)]
struct Bootstrap {
    services: Vec<(Vec<String>, Vec<String>)>,
}

impl Network {
    /// Whether all of a prefix is in it.
    pub fn covers(&self, prefix: IpNet) -> bool {
        let (first, last) = (prefix.network(), prefix.broadcast());
        self.object_class_name == "ip network"
            && [self.start_address, self.end_address].iter().all(|end| end.is_ipv4() == first.is_ipv4())
            && (self.start_address..=self.end_address).contains(&first)
            && (self.start_address..=self.end_address).contains(&last)
    }

    /// Whether a line of its remarks is this.
    pub fn says(&self, text: &str) -> bool {
        let lines = self.remarks.iter().flat_map(|remark| &remark.description);
        lines.flat_map(|text| text.lines()).any(|line| line.trim() == text)
    }
}

/// Asks a registry for the smallest network around a prefix.
pub fn network(settings: &AlertFile, prefix: IpNet) -> anyhow::Result<Network> {
    let is_here =
        |url: &str| url.parse::<ureq::http::Uri>().is_ok_and(|uri| uri.host().is_some_and(is_loopback));
    let asked = settings.rdap.as_ref().unwrap_or(&settings.rdap_bootstrap);
    let config = Agent::config_builder()
        // Wherever it sends us on to: who can write into the answer could prove anything.
        .https_only(!is_here(asked))
        .timeout_global(Some(ANSWER))
        .max_redirects(REDIRECTS)
        .user_agent(concat!("noroshi/", env!("CARGO_PKG_VERSION")));
    let agent = config.build().new_agent();
    let server = match &settings.rdap {
        Some(server) => server.clone(),
        None => server_of(&agent, &settings.rdap_bootstrap, prefix)?,
    };
    get(&agent, &format!("{}/ip/{prefix}", server.trim_end_matches('/')))
}

/// The server that knows about a prefix: the longest that the list has around it.
fn server_of(agent: &Agent, list: &str, prefix: IpNet) -> anyhow::Result<String> {
    let name = if prefix.network().is_ipv4() { "ipv4.json" } else { "ipv6.json" };
    let list: Bootstrap = get(agent, &format!("{}/{name}", list.trim_end_matches('/')))?;
    best(&list, prefix).with_context(|| format!("no registry is named for {prefix}"))
}

fn best(list: &Bootstrap, prefix: IpNet) -> Option<String> {
    let around = |text: &String| text.parse::<IpNet>().ok().filter(|net| net.contains(&prefix));
    let found = list.services.iter().filter_map(|(nets, servers)| {
        let longest = nets.iter().filter_map(around).map(|net| net.prefix_len()).max()?;
        let secure = servers.iter().find(|url| url.starts_with("https://"));
        Some((longest, secure.or(servers.first())?.clone()))
    });
    found.max_by_key(|(length, _)| *length).map(|(_, server)| server)
}

fn get<T: DeserializeOwned>(agent: &Agent, url: &str) -> anyhow::Result<T> {
    let request = agent.get(url).header("Accept", "application/rdap+json, application/json");
    let mut response = match request.call() {
        Ok(response) => response,
        Err(ureq::Error::StatusCode(404)) => bail!("{url}: the registry knows nothing of it"),
        Err(e) => return Err(anyhow::Error::from(e).context(url.to_owned())),
    };
    let text = response.body_mut().with_config().limit(BYTES_MAX).read_to_string();
    let text = text.with_context(|| format!("{url}: the answer cannot be read"))?;
    serde_json::from_str(&text).with_context(|| format!("{url}: the answer is not what RFC 9083 says"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_proves_what_lies_in_it_and_a_remark_is_a_whole_line() {
        let text = r#"{"objectClassName":"ip network","handle":"EXAMPLE-NET","startAddress":"203.0.113.0",
            "endAddress":"203.0.113.255","ipVersion":"v4","rdapConformance":["rdap_level_0"],
            "remarks":[{"title":"remarks","description":["City of Example","noroshi-proof=abc\nmore"]}]}"#;
        let network: Network = serde_json::from_str(text).unwrap();
        let covers = |text: &str| network.covers(text.parse().unwrap());
        assert!(covers("203.0.113.0/24") && covers("203.0.113.128/25") && covers("203.0.113.7/32"));
        assert!(!covers("203.0.112.0/23") && !covers("2001:db8::/32"));
        assert!(network.says("noroshi-proof=abc") && network.says("more"));
        assert!(!network.says("noroshi-proof=ab") && !network.says("noroshi-proof=abcd"));
        let entity = Network { object_class_name: "entity".into(), ..network };
        assert!(!entity.covers("203.0.113.0/24".parse().unwrap()));
    }

    #[test]
    fn the_registry_of_the_longest_prefix_is_asked_and_over_tls_where_it_can_be() {
        let list = r#"{"version":"1.0","services":[
            [["203.0.0.0/8"],["http://one.example/","https://one.example/"]],
            [["203.0.113.0/24","198.51.100.0/24"],["https://two.example/rdap/"]]]}"#;
        let list: Bootstrap = serde_json::from_str(list).unwrap();
        let of = |text: &str| best(&list, text.parse().unwrap());
        assert_eq!(of("203.0.113.128/25").as_deref(), Some("https://two.example/rdap/"));
        assert_eq!(of("203.1.0.0/16").as_deref(), Some("https://one.example/"));
        assert_eq!(of("192.0.2.0/24"), None);
    }
}
