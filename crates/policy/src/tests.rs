//! The settlements as tables: what must be allowed, what must be refused, and by which rule.

use noroshi_law::{
    CncBlocking, DnsAmpFilter, FlowCnc, InfectionNotice, LineQuarantine, PppoeAbuse, Purpose,
    ReflectorNotice, Register, Role, SessionKeeping, SiteWarning, SmtpAuthAbuse, TakedownNotice, Use,
};

use super::*;

fn standing(consent: bool) -> Standing {
    Standing { approvers: 2, ..Standing::of_terms(consent, "2026-11-22T00:00:00Z".parse().unwrap()) }
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
    let late = Standing { approvers: 2, ..Standing::of_terms(true, "2031-01-01T00:00:00Z".parse().unwrap()) };
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

/// One worked case: what noroshi itself asks for under `P`, and the rule that must answer.
fn case<P: Purpose>(usage: Use, fields: &[&str], facts: impl Fn(&mut Standing), rule: &str) {
    case_of::<P>(Role::System, usage, fields, facts, rule);
}

fn case_of<P: Purpose>(role: Role, usage: Use, fields: &[&str], facts: impl Fn(&mut Standing), rule: &str) {
    let register = Register::shipped().unwrap();
    let mut standing = standing(true);
    facts(&mut standing);
    let ruling = CedarRulebook::shipped().unwrap().judge(
        &Ask::of::<P>(role, usage, fields),
        register.measure(P::MEASURE).unwrap(),
        standing,
    );
    assert_eq!(ruling.rule, rule, "{} {usage:?} {fields:?}", P::MEASURE);
    assert_eq!(ruling.allowed, rule.starts_with(P::MEASURE), "{ruling:?}");
}

#[test]
fn a_warning_before_a_malicious_site_needs_consent_and_stops_for_who_opted_out() {
    let fields = ["source.ip", "destination.fqdn", "destination.url"];
    case::<SiteWarning>(Use::Warn, &fields, |_| {}, "site-warning.consent");
    case::<SiteWarning>(Use::Warn, &fields, |s| s.consent = false, "consent-missing");
    case::<SiteWarning>(Use::Warn, &fields, |s| s.opted_out = true, "opted-out");
    case::<SiteWarning>(Use::Block, &fields, |_| {}, NO_RULE);
    case::<SiteWarning>(Use::Notify, &fields, |_| {}, NO_RULE);
    case::<SiteWarning>(Use::Warn, &["destination.url", "source.account"], |_| {}, "field-minimisation");
}

#[test]
fn dns_amplification_is_dropped_by_address_and_port_to_dynamic_addresses_without_consent() {
    let fields = ["destination.ip", "destination.port"];
    case::<DnsAmpFilter>(Use::Filter, &fields, |s| s.consent = false, "dns-amp-filter.business");
    // Opting out is for consent; this measure protects everybody's service.
    case::<DnsAmpFilter>(Use::Filter, &fields, |s| s.opted_out = true, "dns-amp-filter.business");
    case::<DnsAmpFilter>(Use::Filter, &fields, |s| s.static_address = true, NO_RULE);
    case::<DnsAmpFilter>(Use::Filter, &["source.ip", "destination.port"], |_| {}, "field-minimisation");
    case::<DnsAmpFilter>(Use::Identify, &fields, |_| {}, NO_RULE);
    case_of::<DnsAmpFilter>(Role::Analyst, Use::Filter, &fields, |_| {}, "role-not-named");
}

#[test]
fn an_abused_mail_account_may_be_suspended_and_its_owner_told_without_reading_mail() {
    let fields = ["source.account", "source.ip", "time.source"];
    for usage in [Use::Analyse, Use::Identify, Use::Suspend, Use::Notify] {
        case::<SmtpAuthAbuse>(usage, &fields, |s| s.consent = false, "smtp-auth-abuse.business");
    }
    case::<SmtpAuthAbuse>(Use::Suspend, &["source.account", "raw"], |_| {}, "field-minimisation");
    case::<SmtpAuthAbuse>(Use::Block, &fields, |_| {}, NO_RULE);
    case_of::<SmtpAuthAbuse>(Role::Auditor, Use::Suspend, &fields, |_| {}, "role-not-named");
}

#[test]
fn connections_to_a_command_server_are_stopped_by_name_and_consent_only() {
    let fields = ["source.ip", "destination.fqdn"];
    case::<CncBlocking>(Use::Block, &fields, |_| {}, "cnc-blocking.consent");
    case::<CncBlocking>(Use::Block, &fields, |s| s.consent = false, "consent-missing");
    case::<CncBlocking>(Use::Block, &fields, |s| s.opted_out = true, "opted-out");
    case::<CncBlocking>(Use::Identify, &fields, |_| {}, NO_RULE);
    case::<CncBlocking>(Use::Block, &["destination.fqdn", "destination.url"], |_| {}, "field-minimisation");
}

#[test]
fn the_owner_of_a_router_that_reflects_is_told_and_nothing_is_cut_off() {
    let fields = ["source.ip", "time.source"];
    case::<ReflectorNotice>(Use::Identify, &fields, |s| s.consent = false, "reflector-notice.business");
    case::<ReflectorNotice>(Use::Notify, &fields, |_| {}, "reflector-notice.business");
    case::<ReflectorNotice>(Use::Suspend, &fields, |_| {}, NO_RULE);
    case::<ReflectorNotice>(Use::Block, &fields, |_| {}, NO_RULE);
    case::<ReflectorNotice>(Use::Notify, &["source.ip", "destination.ip"], |_| {}, "field-minimisation");
}

#[test]
fn abused_line_credentials_may_be_suspended_by_id_and_time_and_not_by_where_they_went() {
    let fields = ["source.account", "time.source"];
    for usage in [Use::Analyse, Use::Identify, Use::Suspend, Use::Notify] {
        case::<PppoeAbuse>(usage, &fields, |s| s.consent = false, "pppoe-abuse.business");
    }
    case::<PppoeAbuse>(Use::Analyse, &["source.account", "destination.ip"], |_| {}, "field-minimisation");
    case::<PppoeAbuse>(Use::Block, &fields, |_| {}, NO_RULE);
}

#[test]
fn a_line_is_restricted_by_a_clause_of_its_own_and_two_people_and_nobody_is_told_under_it() {
    let fields = ["source.ip", "source.port", "time.source"];
    case::<LineQuarantine>(Use::Restrict, &fields, |_| {}, "line-quarantine.consent");
    case::<LineQuarantine>(Use::Restrict, &fields, |s| s.consent = false, "consent-missing");
    case::<LineQuarantine>(Use::Restrict, &fields, |s| s.opted_out = true, "opted-out");
    case::<LineQuarantine>(Use::Restrict, &fields, |s| s.approvers = 1, "second-person-missing");
    case::<LineQuarantine>(Use::Notify, &fields, |_| {}, NO_RULE);
    case::<LineQuarantine>(Use::Block, &fields, |_| {}, NO_RULE);
    case::<LineQuarantine>(Use::Restrict, &["source.ip", "destination.ip"], |_| {}, "field-minimisation");
    case_of::<LineQuarantine>(Role::Analyst, Use::Restrict, &fields, |_| {}, "role-not-named");
}

#[test]
fn flows_are_analysed_for_servers_and_lead_to_no_subscriber() {
    let fields = ["source.ip", "destination.ip", "destination.port", "time.source"];
    case::<FlowCnc>(Use::Analyse, &fields, |s| s.consent = false, "flow-cnc.business");
    case::<FlowCnc>(Use::Identify, &fields, |_| {}, NO_RULE);
    case::<FlowCnc>(Use::Notify, &fields, |_| {}, NO_RULE);
    case::<FlowCnc>(Use::Analyse, &["destination.ip", "destination.url"], |_| {}, "field-minimisation");
    case_of::<FlowCnc>(Role::Legal, Use::Analyse, &fields, |_| {}, "role-not-named");
}

#[test]
fn an_opt_out_stops_a_notice_by_consent_and_the_law_does_not_ask_it_of_an_emergency() {
    let seen = ["source.ip", "time.source"];
    case::<InfectionNotice>(Use::Notify, &seen, |s| s.opted_out = true, "opted-out");
    case::<TakedownNotice>(Use::Notify, &seen, |s| s.opted_out = true, "takedown-notice.emergency");
}

#[test]
fn an_emergency_is_refused_once_it_is_always_on() {
    let register = Register::shipped().unwrap();
    let dossier = Dossier { always_on: true, ..register.measure("takedown-notice").unwrap().clone() };
    let ruling = CedarRulebook::shipped().unwrap().judge(&takedown(), &dossier, standing(true));
    assert_eq!((ruling.allowed, ruling.rule.as_str()), (false, "emergency-always-on"));
}

#[test]
fn an_emergency_needs_an_approval_that_stands_and_a_sensitive_measure_two_people() {
    let (seen, flow) = (["source.ip", "time.source"], ["source.ip", "destination.ip"]);
    case::<TakedownNotice>(Use::Identify, &seen, |s| s.approvers = 1, "takedown-notice.emergency");
    case::<TakedownNotice>(Use::Identify, &seen, |s| s.approvers = 0, "approval-missing");
    case::<FlowCnc>(Use::Analyse, &flow, |s| s.approvers = 1, "second-person-missing");
    case::<CncBlocking>(Use::Block, &["destination.fqdn"], |s| s.approvers = 1, "second-person-missing");
    case::<SmtpAuthAbuse>(Use::Notify, &seen, |s| s.approvers = 0, "smtp-auth-abuse.business");
}

#[test]
fn every_rule_gives_its_reason_in_both_languages() {
    let rulebook = CedarRulebook::shipped().unwrap();
    assert!(rulebook.rules().count() > 15);
    for (id, reason) in rulebook.rules() {
        assert!(reason.len() > 20, "{id}");
        assert!(rulebook.japanese.get(id).is_some_and(|ja| ja.chars().count() > 10), "{id}");
    }
}
