//! What counsel does, from outside: explain, check, approve, review; and an opt-out that holds at once.

use crate::world::{configure, last_json, run, run_any, text};

#[test]
fn an_explanation_names_rule_basis_and_elements_in_both_languages_and_needs_no_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("none");
    let english = run(&nowhere, &["law", "explain", "--measure", "dns-amp-filter", "--use", "filter"]);
    assert!(english.contains("allowed by rule dns-amp-filter.business"), "{english}");
    assert!(english.contains("necessity of the act: 他の部分での対策は困難である一方"), "{english}");
    assert!(english.contains("in the settlement's own words"), "{english}");
    let refused = run_any(
        &nowhere,
        &["law", "explain", "--measure", "flow-cnc", "--use", "analyse", "--approvers", "1", "--lang", "ja"],
    );
    let japanese = text(&refused.stdout);
    assert_eq!(refused.status.code(), Some(4));
    for said in
        ["不許可(規則 second-person-missing)", "異なる2人の有効な承認が必要", "行為の必要性", "正当業務行為"]
    {
        assert!(japanese.contains(said), "«{said}» is not in\n{japanese}");
    }
    let json = last_json(&text(
        &run_any(
            &nowhere,
            &["law", "explain", "--measure", "site-warning", "--use", "warn", "--opted-out", "--json"],
        )
        .stdout,
    ));
    assert_eq!((json["allowed"].as_bool(), json["rule"].as_str()), (Some(false), Some("opted-out")));
    assert!(!nowhere.exists());
}

#[test]
fn an_operators_own_rules_are_checked_and_what_exceeds_the_law_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.cedar");
    let path = file.to_str().unwrap();
    std::fs::write(
        &file,
        "@id(\"own\") @reason(\"faster\") permit (principal, action == Noroshi::Action::\"block\", \
         resource == Noroshi::Measure::\"site-warning\");",
    )
    .unwrap();
    let found = run_any(folder.path(), &["law", "check", path, "--with-shipped", "--lang", "ja"]);
    assert_eq!(found.status.code(), Some(3), "{}", text(&found.stderr));
    assert!(
        text(&found.stdout).contains("規則 own により許可される。しかし適法でない"),
        "{}",
        text(&found.stdout)
    );
    let alone = run_any(folder.path(), &["law", "check", path, "--json"]);
    assert_eq!(alone.status.code(), Some(3));
    assert_eq!(last_json(&text(&alone.stdout))["rule"], "own");
    std::fs::write(&file, "permit (principal, action, resource) when { resource.basis == 1 };").unwrap();
    assert_eq!(run_any(folder.path(), &["law", "check", path]).status.code(), Some(3));
}

#[test]
fn an_emergency_is_approved_used_and_reviewed_by_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, &["demo", "--once", "--json"]);
    let waiting = run(folder, &["law", "permits", "--unreviewed", "--json"]);
    let uses: Vec<serde_json::Value> = waiting.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(uses.len() >= 2, "{waiting}");
    assert!(uses.iter().all(|u| u["measure"] == "takedown-notice" && u["review"].is_null()));
    let first = uses[0]["entry"].to_string();
    let review = |by: &str| {
        let arguments = ["law", "review", &first, "--by", by, "--verdict", "justified", "--why", "as argued"];
        run_any(folder, &arguments)
    };
    let own = review("Counsel  (Demo)");
    assert_eq!(own.status.code(), Some(1));
    assert!(text(&own.stderr).contains("somebody else must review it"), "{}", text(&own.stderr));
    assert!(review("baba").status.success());
    assert_eq!(review("chiba").status.code(), Some(1), "twice");
    assert_eq!(run(folder, &["law", "permits", "--unreviewed", "--json"]).lines().count(), uses.len() - 1);
    assert!(run(folder, &["law", "permits"]).contains("justified by baba: as argued"));
    let newest = run(folder, &["evidence", "list"]);
    assert!(newest.lines().next().unwrap().contains("rule review"), "{newest}");
    assert!(run(folder, &["evidence", "verify"]).starts_with("intact"));
}

#[test]
fn nothing_is_allowed_in_an_emergency_without_approval_nor_in_a_sensitive_measure_without_two_people() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    configure(folder, "127.0.0.1:1", None, None);
    let ask = |measure: &str, usage: &str| {
        let asked = run_any(folder, &["law", "ask", "--measure", measure, "--use", usage, "--json"]);
        last_json(&text(&asked.stdout))["rule"].as_str().unwrap().to_owned()
    };
    let approve =
        |measure: &str, by: &str| run(folder, &["law", "approve", measure, "--by", by, "--why", "w"]);
    assert_eq!(ask("takedown-notice", "identify"), "approval-missing");
    approve("takedown-notice", "aoki");
    assert_eq!(ask("takedown-notice", "identify"), "takedown-notice.emergency");
    assert_eq!(ask("flow-cnc", "analyse"), "second-person-missing");
    assert!(approve("flow-cnc", "Aoki").contains("nothing is allowed yet"));
    approve("flow-cnc", " aoki ");
    assert_eq!(ask("flow-cnc", "analyse"), "second-person-missing", "one person is not two");
    approve("flow-cnc", "baba");
    assert_eq!(ask("flow-cnc", "analyse"), "flow-cnc.business");
    assert_eq!(run(folder, &["law", "approvals", "--json"]).lines().count(), 4);
    let needless = run_any(folder, &["law", "approve", "dns-amp-filter", "--by", "aoki", "--why", "w"]);
    assert!(text(&needless.stderr).contains("needs no approval"));
}
