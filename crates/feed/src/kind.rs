//! What the harmonised keys hold. IntelMQ's data harmonisation gives each key a type; a value that does not read as that
//! type is no value of the key. One table, so that a feed's map need only say *where* a column goes.

/// The type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Any text.
    Text,
    /// Lower-case text.
    Lower,
    /// Upper-case text.
    Upper,
    /// Two letters or digits, upper case.
    Country,
    /// An instant.
    Time,
    /// An address.
    Ip,
    /// A network.
    Network,
    /// A host name, lower case; no address.
    Fqdn,
    /// An absolute URL.
    Url,
    /// An autonomous system's number.
    Asn,
    /// A port.
    Port,
    /// A whole number.
    Int,
    /// A number.
    Real,
    /// Yes or no.
    Truth,
    /// An RSIT type.
    Classification,
    /// A transport protocol, by name or number.
    Transport,
    /// Printable ASCII, lower case.
    Malware,
    /// A TLP mark without its prefix.
    Tlp,
    /// A regional registry.
    Registry,
    /// Text, or the JSON it is.
    Json,
}

/// The type of a key; `extra.*` and keys of others are text unless a map says more.
pub fn kind_of(key: &str) -> Kind {
    let end = key.strip_prefix("source.").or_else(|| key.strip_prefix("destination."));
    if let Some(field) = end {
        return match field {
            "ip" | "local_ip" => Kind::Ip,
            "port" => Kind::Port,
            "asn" => Kind::Asn,
            "fqdn" | "reverse_dns" | "domain_suffix" => Kind::Fqdn,
            "network" => Kind::Network,
            "url" => Kind::Url,
            "allocated" => Kind::Time,
            "geolocation.cc" | "geolocation.cymru_cc" | "geolocation.geoip_cc" => Kind::Country,
            "geolocation.latitude" | "geolocation.longitude" => Kind::Real,
            "tor_node" => Kind::Truth,
            "registry" => Kind::Registry,
            "abuse_contact" => Kind::Lower,
            _ => Kind::Text,
        };
    }
    match key {
        "time.source" | "time.observation" => Kind::Time,
        "classification.type" => Kind::Classification,
        "classification.taxonomy" => Kind::Lower,
        "malware.name" => Kind::Malware,
        "malware.hash" | "malware.hash.md5" | "malware.hash.sha1" | "malware.hash.sha256" => Kind::Lower,
        "misp.attribute_uuid" | "misp.event_uuid" => Kind::Lower,
        "protocol.transport" => Kind::Transport,
        "protocol.application" => Kind::Lower,
        "event_description.url" | "screenshot_url" | "feed.url" | "feed.documentation" => Kind::Url,
        "feed.accuracy" => Kind::Real,
        "rtir_id" => Kind::Int,
        "tlp" => Kind::Tlp,
        _ => Kind::Text,
    }
}

/// Whether a key is one of the harmonised ones (`extra.*` is the free part).
pub fn is_known(key: &str) -> bool {
    const KEYS: &[&str] = &[
        "comment",
        "event_hash",
        "output",
        "raw",
        "rtir_id",
        "screenshot_url",
        "severity",
        "status",
        "tlp",
        "classification.identifier",
        "classification.taxonomy",
        "classification.type",
        "event_description.target",
        "event_description.text",
        "event_description.url",
        "feed.accuracy",
        "feed.code",
        "feed.documentation",
        "feed.name",
        "feed.provider",
        "feed.url",
        "malware.hash",
        "malware.hash.md5",
        "malware.hash.sha1",
        "malware.hash.sha256",
        "malware.name",
        "malware.version",
        "misp.attribute_uuid",
        "misp.event_uuid",
        "product.full_name",
        "product.name",
        "product.vendor",
        "product.version",
        "product.vulnerabilities",
        "protocol.application",
        "protocol.transport",
        "time.observation",
        "time.source",
    ];
    const ENDS: &[&str] = &[
        "abuse_contact",
        "account",
        "allocated",
        "as_name",
        "asn",
        "domain_suffix",
        "fqdn",
        "geolocation.cc",
        "geolocation.city",
        "geolocation.country",
        "geolocation.cymru_cc",
        "geolocation.geoip_cc",
        "geolocation.latitude",
        "geolocation.longitude",
        "geolocation.region",
        "geolocation.state",
        "ip",
        "local_hostname",
        "local_ip",
        "network",
        "port",
        "registry",
        "reverse_dns",
        "tor_node",
        "url",
        "urlpath",
    ];
    let end = key.strip_prefix("source.").or_else(|| key.strip_prefix("destination."));
    match end {
        Some(field) => ENDS.contains(&field),
        None => key.starts_with("extra.") || KEYS.contains(&key),
    }
}
