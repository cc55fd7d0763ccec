//! The settlements as tables: what must be allowed, what must be refused, and by which rule.

use noroshi_law::{InfectionNotice, Register, Role, SessionKeeping, TakedownNotice, Use};

use super::*;

fn standing(consent: bool) -> Standing {
    Standing { consent, now: "2026-11-22T00:00:00Z".parse().unwrap() }
}

fn judge(ask: &Ask, consent: bool) -> Ruling {
    let register = Register::shipped().unwrap();
    let rulebook = CedarRulebook::shipped().unwrap();
    rulebook.judge(ask, register.measure(&ask.measure).unwrap(), standing(consent))
}

fn takedown() -> Ask {
    Ask::of::<TakedownNotice>(Role::System, Use::Identify, &["source.ip", "time.source"])
}

#[test]
fn a_takedown_notice_is_allowed_as_emergency_without_consent() {
    let ruling = judge(&takedown(), false);
    assert!(ruling.allowed, "{ruling:?}");
    assert_eq!(ruling.rule, "takedown-notice.emergency");
}

#[test]
fn a_takedown_notice_may_not_use_the_port() {
    let ruling =
        judge(&Ask::of::<TakedownNotice>(Role::System, Use::Identify, &["source.ip", "source.port"]), true);
    assert_eq!((ruling.allowed, ruling.rule.as_str()), (false, "field-minimisation"));
}

#[test]
fn another_purpose_is_refused_by_name() {
    for purpose in ["advertising", "billing", "copyright", ""] {
        let ruling = judge(&Ask { purpose: purpose.into(), ..takedown() }, true);
        assert_eq!((ruling.allowed, ruling.rule.as_str()), (false, "purpose-limitation"), "{purpose}");
        assert!(!ruling.reason.is_empty());
    }
}

#[test]
fn an_infection_notice_needs_consent() {
    let ask =
        Ask::of::<InfectionNotice>(Role::System, Use::Notify, &["source.ip", "source.port", "time.source"]);
    assert!(judge(&ask, true).allowed);
    let ruling = judge(&ask, false);
    assert_eq!((ruling.allowed, ruling.rule.as_str()), (false, "consent-missing"));
}

#[test]
fn a_role_the_dossier_does_not_name_is_refused() {
    let ruling = judge(&Ask { role: Role::Auditor, ..takedown() }, true);
    assert_eq!((ruling.allowed, ruling.rule.as_str()), (false, "role-not-named"));
}

#[test]
fn sessions_may_be_kept_and_not_used_to_identify() {
    let keep = Ask::of::<SessionKeeping>(Role::System, Use::Keep, &["radius.accounting"]);
    assert!(judge(&keep, false).allowed);
    let ruling = judge(&Ask { usage: Use::Identify, ..keep }, true);
    assert_eq!((ruling.allowed, ruling.rule.as_str()), (false, NO_RULE));
}

#[test]
fn an_expired_dossier_is_refused() {
    let register = Register::shipped().unwrap();
    let late = Standing { consent: true, now: "2031-01-01T00:00:00Z".parse().unwrap() };
    let ruling = CedarRulebook::shipped().unwrap().judge(
        &takedown(),
        register.measure("takedown-notice").unwrap(),
        late,
    );
    assert_eq!((ruling.allowed, ruling.rule.as_str()), (false, "not-in-force"));
}

#[test]
fn text_that_does_not_fit_the_schema_or_has_no_id_is_refused() {
    let typo = r#"@id("x") permit (principal, action, resource) when { resource.purpos == "a" };"#;
    assert!(matches!(CedarRulebook::read(typo), Err(PolicyError::Invalid(_))));
    assert!(matches!(
        CedarRulebook::read("permit (principal, action, resource);"),
        Err(PolicyError::Unnamed(_))
    ));
    assert!(matches!(CedarRulebook::read("permit ("), Err(PolicyError::Syntax(_))));
}
