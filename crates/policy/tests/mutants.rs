//! The policy check: the shipped rules are within the law and use all of it; every deliberately wrong set is found out, with
//! the breach named in words.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use noroshi_law::Register;
use noroshi_policy::check::{STRENGTH, check, names};
use noroshi_policy::{CedarRulebook, shipped_text};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutants {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    #[serde(default)]
    drop: Vec<String>,
    #[serde(default)]
    edit: Vec<Edit>,
    #[serde(default)]
    add: String,
    breach: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    rule: String,
    find: String,
    put: String,
}

/// The shipped text, edited.
fn text(mutant: &Mutant) -> String {
    let mut rules: Vec<String> =
        shipped_text().split("@id(").skip(1).map(|rule| format!("@id({rule}")).collect();
    let place = |rules: &[String], id: &str| {
        rules
            .iter()
            .position(|rule| rule.starts_with(&format!("@id(\"{id}\")")))
            .unwrap_or_else(|| panic!("no rule {id}"))
    };
    for edit in &mutant.edit {
        let rule = place(&rules, &edit.rule);
        let once = rules[rule].matches(&edit.find).count() == 1;
        assert!(once, "{}: «{}» is not once in {}", mutant.name, edit.find, edit.rule);
        rules[rule] = rules[rule].replace(&edit.find, &edit.put);
    }
    for id in &mutant.drop {
        let rule = place(&rules, id);
        rules.remove(rule);
    }
    rules.join("") + &mutant.add
}

#[test]
fn the_shipped_rules_allow_nothing_unlawful_and_everything_that_was_settled() {
    let text = shipped_text();
    let rulebook = CedarRulebook::read(&text).unwrap();
    let report = check(&rulebook, &Register::shipped().unwrap(), &names(&text), STRENGTH);
    let told: Vec<String> = report.found.iter().map(|f| f.english()).collect();
    assert!(told.is_empty(), "{told:#?}");
    assert!(report.stricter.is_empty(), "{:?}", report.stricter);
    assert!(
        report.asked > 50_000 && report.allowed > 100,
        "{} asked, {} allowed",
        report.asked,
        report.allowed
    );
    println!("{} requests, {} allowed", report.asked, report.allowed);
}

#[test]
fn every_wrong_set_of_rules_is_found_out_and_told_in_two_languages() {
    let mutants: Mutants = toml::from_str(include_str!("mutants.toml")).unwrap();
    assert!(mutants.mutant.len() >= 30, "{} mutants", mutants.mutant.len());
    let register = Register::shipped().unwrap();
    let mut survived = Vec::new();
    for mutant in &mutants.mutant {
        let text = text(mutant);
        let rulebook = CedarRulebook::read(&text).unwrap_or_else(|e| panic!("{}: {e}", mutant.name));
        let found = (1..=2).find_map(|strength| {
            let report = check(&rulebook, &register, &names(&text), strength);
            report.found.into_iter().find(|f| f.breaches.iter().any(|b| b.id() == mutant.breach))
        });
        match found {
            Some(found) => {
                let (english, japanese) = (found.english(), found.japanese());
                println!("{}\n  {english}\n  {japanese}", mutant.name);
                assert!(english.contains(&found.ask.measure) && japanese.contains(&found.rule));
                assert!(japanese.contains("適法でない"));
            }
            None => survived.push(&mutant.name),
        }
    }
    assert!(survived.is_empty(), "not found out: {survived:#?}");
}
