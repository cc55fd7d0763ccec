//! The Reference Security Incident Taxonomy (RSIT, 44 types) as IntelMQ names it: `classification.type`, and the
//! `classification.taxonomy` that follows from it.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! rsit {
    ($($taxonomy:literal => { $($variant:ident = $id:literal),+ $(,)? }),+ $(,)?) => {
        /// `classification.type`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the names are the taxonomy's; its text defines them")]
        pub enum ClassificationType { $($($variant),+),+ }

        impl ClassificationType {
            /// Every type.
            pub const ALL: &'static [ClassificationType] = &[$($(ClassificationType::$variant),+),+];

            /// The taxonomy's name for it.
            pub fn id(self) -> &'static str {
                match self { $($(ClassificationType::$variant => $id),+),+ }
            }

            /// `classification.taxonomy`.
            pub fn taxonomy(self) -> &'static str {
                match self { $($(ClassificationType::$variant)|+ => $taxonomy),+ }
            }
        }
    };
}

rsit! {
    "abusive-content" => { HarmfulSpeech = "harmful-speech", Spam = "spam", Violence = "violence" },
    "availability" => {
        Ddos = "ddos", Dos = "dos", Misconfiguration = "misconfiguration", Outage = "outage", Sabotage = "sabotage",
    },
    "fraud" => {
        Copyright = "copyright", Masquerade = "masquerade", Phishing = "phishing",
        UnauthorizedUseOfResources = "unauthorized-use-of-resources",
    },
    "information-content-security" => {
        DataLeak = "data-leak", DataLoss = "data-loss",
        UnauthorisedInformationAccess = "unauthorised-information-access",
        UnauthorisedInformationModification = "unauthorised-information-modification",
    },
    "information-gathering" => { Scanner = "scanner", Sniffing = "sniffing", SocialEngineering = "social-engineering" },
    "intrusion-attempts" => { BruteForce = "brute-force", Exploit = "exploit", IdsAlert = "ids-alert" },
    "intrusions" => {
        ApplicationCompromise = "application-compromise", Burglary = "burglary",
        PrivilegedAccountCompromise = "privileged-account-compromise", SystemCompromise = "system-compromise",
        UnprivilegedAccountCompromise = "unprivileged-account-compromise",
    },
    "malicious-code" => {
        C2Server = "c2-server", InfectedSystem = "infected-system", MalwareConfiguration = "malware-configuration",
        MalwareDistribution = "malware-distribution",
    },
    "other" => {
        Blacklist = "blacklist", DgaDomain = "dga-domain", Malware = "malware", Other = "other", Proxy = "proxy",
        Tor = "tor", Undetermined = "undetermined",
    },
    "test" => { Test = "test" },
    "vulnerable" => {
        DdosAmplifier = "ddos-amplifier", InformationDisclosure = "information-disclosure",
        PotentiallyUnwantedAccessible = "potentially-unwanted-accessible", VulnerableSystem = "vulnerable-system",
        WeakCrypto = "weak-crypto",
    },
}

impl ClassificationType {
    /// Reads a type's id.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| t.id() == id)
    }
}

impl fmt::Display for ClassificationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for ClassificationType {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.id())
    }
}

impl<'de> Deserialize<'de> for ClassificationType {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let id = String::deserialize(d)?;
        Self::parse(&id).ok_or_else(|| serde::de::Error::custom(format!("'{id}' is no RSIT type")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_44_types_and_each_reads_back() {
        assert_eq!(ClassificationType::ALL.len(), 44);
        for t in ClassificationType::ALL {
            assert_eq!(ClassificationType::parse(t.id()), Some(*t));
        }
        assert_eq!(ClassificationType::InfectedSystem.taxonomy(), "malicious-code");
    }
}
