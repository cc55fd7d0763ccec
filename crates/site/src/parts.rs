//! A host name taken apart: what anybody may register under (the public suffix), what somebody registered, and what stands before.
//!
//! The suffixes are the Public Suffix List's. Its private part (`web.app`, `duckdns.org`) tells hosting where everybody may
//! have a name; a few more such hosts, which never asked to be on that list, are in [`SHARED`].

/// Hosts under which strangers have sites of their own, and which are not on the Public Suffix List (looked at in 2026).
pub const SHARED: [&str; 36] = [
    "000webhostapp.com",
    "beehiiv.com",
    "bitballoon.com",
    "blogspot.com",
    "canva.site",
    "carrd.co",
    "cf-ipfs.com",
    "cloudwaysapps.com",
    "cprapid.com",
    "devtunnels.ms",
    "durable.co",
    "dweb.link",
    "educatorpages.com",
    "formstack.com",
    "framer.website",
    "gitbook.io",
    "glitch.me",
    "godaddysites.com",
    "hubspotpagebuilder.com",
    "jimdosite.com",
    "jotform.com",
    "link.tree",
    "mystrikingly.com",
    "nftstorage.link",
    "pantheonsite.io",
    "sharepoint.com",
    "site123.me",
    "softr.app",
    "square.site",
    "surge.sh",
    "teachable.com",
    "temp-site.link",
    "tripod.com",
    "ukit.me",
    "webcindario.com",
    "wixsite.com",
];

/// A name's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The public suffix or the shared host: `co.jp`, `web.app`.
    pub suffix: &'a str,
    /// Whether under the suffix anybody has a site, not only a name: free hosting, dynamic DNS.
    pub hosted: bool,
    /// The label before the suffix; empty where the name is a suffix itself.
    pub core: &'a str,
    /// The core with its suffix: what somebody registered.
    pub registered: &'a str,
    /// What stands before, without the dot; empty where nothing does.
    pub before: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes `name` apart, which is in lower case and without a dot at the end.
    pub fn of(name: &'a str) -> Self {
        let (suffix, hosted) = suffix(name);
        let Some(left) = name.strip_suffix(suffix).and_then(|left| left.strip_suffix('.')) else {
            return Self { suffix, hosted, core: "", registered: name, before: "" };
        };
        let (before, core) = left.rsplit_once('.').unwrap_or(("", left));
        let registered = &name[name.len() - suffix.len() - 1 - core.len()..];
        Self { suffix, hosted, core, registered, before }
    }

    /// The labels before the core, outermost last; without `www`.
    pub fn labels_before(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.before.split('.').filter(|label| !label.is_empty() && *label != "www")
    }
}

fn suffix(name: &str) -> (&str, bool) {
    let shared =
        |host: &&&str| name.strip_suffix(**host).is_some_and(|left| left.is_empty() || left.ends_with('.'));
    if let Some(host) = SHARED.iter().find(shared) {
        return (&name[name.len() - host.len()..], true);
    }
    match psl::suffix(name.as_bytes()) {
        Some(suffix) => {
            let hosted = suffix.typ() == Some(psl::Type::Private);
            // The suffix is the end of the name it was asked for.
            (&name[name.len() - suffix.as_bytes().len().min(name.len())..], hosted)
        }
        None => (name, false),
    }
}

/// The registered name of `name`: the name itself where it is a suffix.
pub fn registered(name: &str) -> &str {
    Parts::of(name).registered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart_where_they_are_registered() {
        let parts = Parts::of("login.bank.co.jp");
        assert_eq!((parts.before, parts.core, parts.suffix, parts.hosted), ("login", "bank", "co.jp", false));
        assert_eq!(parts.registered, "bank.co.jp");
        let parts = Parts::of("a.b.evil.web.app");
        assert_eq!((parts.before, parts.core, parts.suffix, parts.hosted), ("a.b", "evil", "web.app", true));
        let parts = Parts::of("eth-gift.blogspot.com");
        assert_eq!((parts.core, parts.suffix, parts.hosted), ("eth-gift", "blogspot.com", true));
        let parts = Parts::of("co.jp");
        assert_eq!((parts.core, parts.registered), ("", "co.jp"));
        assert_eq!(Parts::of("www.a.b.example.com").labels_before().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn shared_hosts_are_in_order_once() {
        assert!(SHARED.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
