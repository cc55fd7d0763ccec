//! What may be done: policy on a finding. Pure, no I/O; a refusal is a value with its rule, like everything else.
//!
//! The ask depends on the measure only, never on the finding, so one ruling serves every finding of a measure.

use noroshi_law::{
    Ask, Gate, InfectionNotice, LineQuarantine, Purpose as _, ReflectorNotice, Refusal, Role, Standing,
    TakedownNotice, Use,
};
use noroshi_model::{Decision, Finding, Id, Verdict};

/// What noroshi itself asks for when it wants to identify and notify under a measure; `None` where it knows no such
/// measure.
pub fn ask(measure: &str) -> Option<Ask> {
    match measure {
        TakedownNotice::MEASURE => Some(ask_takedown(Use::Identify)),
        InfectionNotice::MEASURE => Some(ask_infection(Use::Identify)),
        _ => None,
    }
}

/// Address and time only: the 2014 settlement covers no more.
pub fn ask_takedown(usage: Use) -> Ask {
    Ask::of::<TakedownNotice>(Role::System, usage, &["source.ip", "time.source"])
}

/// Address, port and time, as the contract clause says.
pub fn ask_infection(usage: Use) -> Ask {
    Ask::of::<InfectionNotice>(Role::System, usage, &["source.ip", "source.port", "time.source"])
}

/// Address and time: the owner of a router that reflects attacks is found and told (second report 2015).
pub fn ask_reflector(usage: Use) -> Ask {
    Ask::of::<ReflectorNotice>(Role::System, usage, &["source.ip", "time.source"])
}

/// Address, port and time, as the clause of its own says: to find the line anew, and to restrict it.
pub fn ask_quarantine() -> Ask {
    Ask::of::<LineQuarantine>(Role::System, Use::Restrict, &["source.ip", "source.port", "time.source"])
}

/// Decides on a finding, given what is asked for under its measure ([`ask`]).
pub fn decide(finding: &Finding, ask: Option<&Ask>, gate: &Gate<'_>, standing: Standing) -> Decision {
    let verdict = match ask.map(|ask| (ask, gate.judge(ask, standing))) {
        Some((_, ruling)) if ruling.allowed => {
            let basis = match finding.measure.as_str() {
                TakedownNotice::MEASURE => noroshi_law::BasisKind::Emergency,
                _ => noroshi_law::BasisKind::Consent,
            };
            Verdict::IdentifyAndNotify { basis, rule: ruling.rule }
        }
        Some((ask, ruling)) => Verdict::Refused(Refusal {
            measure: ask.measure.clone(),
            rule: ruling.rule,
            reason: ruling.reason,
        }),
        None => Verdict::Refused(Refusal {
            measure: finding.measure.clone(),
            rule: "unknown-measure".into(),
            reason: "noroshi knows no way to act under this measure".into(),
        }),
    };
    let (word, rule) = match &verdict {
        Verdict::IdentifyAndNotify { rule, .. } => ("allow", rule),
        Verdict::Refused(refusal) => ("refuse", &refusal.rule),
    };
    let parts = [finding.id.as_str(), finding.measure.as_str(), word, rule.as_str()].map(str::as_bytes);
    Decision {
        id: Id::of("decision", &parts),
        finding: finding.id.clone(),
        measure: finding.measure.clone(),
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use noroshi_law::evidence::Digest;
    use noroshi_law::{Dossier, Register, Rulebook, Ruling};

    use super::*;

    struct Fixed(bool);

    impl Rulebook for Fixed {
        fn judge(&self, _: &Ask, _: &Dossier, standing: Standing) -> Ruling {
            let allowed = self.0 && standing.consent;
            Ruling { allowed, rule: "r".into(), reason: String::new(), policy_set: Digest::ZERO }
        }
        fn policy_set(&self) -> Digest {
            Digest::ZERO
        }
    }

    fn finding(measure: &str) -> Finding {
        Finding {
            id: Id::of("finding", &[]),
            ip: "198.51.100.7".parse().unwrap(),
            family: "mirai".into(),
            campaign: "c".into(),
            measure: measure.into(),
            events: vec![],
            sightings: vec![],
            sightings_left_out: 0,
        }
    }

    fn verdict(measure: &str, allow: bool, consent: bool) -> Verdict {
        let register = Register::shipped().unwrap();
        let standing = Standing::of_terms(consent, jiff::Timestamp::UNIX_EPOCH);
        decide(&finding(measure), ask(measure).as_ref(), &Gate::new(&Fixed(allow), &register), standing)
            .verdict
    }

    #[test]
    fn what_the_rulebook_allows_is_decided_with_its_basis_and_the_rest_is_refused() {
        assert!(matches!(verdict("takedown-notice", true, true), Verdict::IdentifyAndNotify { .. }));
        assert!(matches!(verdict("takedown-notice", false, true), Verdict::Refused(_)));
        assert!(matches!(verdict("infection-notice", true, false), Verdict::Refused(_)));
        assert!(
            matches!(verdict("advertising", true, true), Verdict::Refused(r) if r.rule == "unknown-measure")
        );
    }

    #[test]
    fn the_same_verdict_on_the_same_finding_is_the_same_decision() {
        let register = Register::shipped().unwrap();
        let standing = Standing::of_terms(true, jiff::Timestamp::UNIX_EPOCH);
        let id = |allow| {
            let asked = ask("takedown-notice");
            decide(
                &finding("takedown-notice"),
                asked.as_ref(),
                &Gate::new(&Fixed(allow), &register),
                standing,
            )
            .id
        };
        assert_eq!(id(true), id(true));
        assert_ne!(id(true), id(false));
    }
}
