//! Sites from lists to resolvers: what lists say, what people decide, what is handed out.

use std::path::Path;

use serde_json::Value;

use crate::world::{last_json, run, run_any, text};

const HOSTS: &str = "# a list\n0.0.0.0 metamask-verify-wallet.top\n0.0.0.0 plain-shop.example.net # a shop\n\
                     127.0.0.1 localhost\n0.0.0.0 github.com\n0.0.0.0 not_a_name..\n";
const URLS: &str = "http://plain-shop.example.net/\nhttps://github.com/x/y/raw/invoice.pdf.exe\nhttp://192.0.2.77:8080/a.sh\n";

fn site(place: &Path, typed: &[&str]) -> String {
    run(place, &[&["site"], typed].concat())
}

fn import(place: &Path, name: &str, content: &str, with: &[&str]) -> Value {
    let file = place.join(format!("{name}.txt"));
    std::fs::write(&file, content).unwrap();
    let typed = ["import", file.to_str().unwrap(), "--source", name, "--by", "Aoki", "--json"];
    last_json(&site(place, &[&typed, with].concat()))
}

fn states(place: &Path) -> Vec<(String, String)> {
    let lines = site(place, &["list", "--json"]);
    let field = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.map(|line: Value| (field(&line, "address"), field(&line, "state"))).collect()
}

fn refused(place: &Path, typed: &[&str]) -> String {
    let out = run_any(place, &[&["site"], typed].concat());
    assert!(!out.status.success(), "{typed:?} was done");
    text(&out.stderr)
}

#[test]
fn what_independent_lists_agree_on_is_listed_and_a_popular_host_never() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let first = import(place, "hosts-a", HOSTS, &["--threat", "phishing", "--reliability", "0.6"]);
    assert_eq!([&first["read"], &first["bad"], &first["new"], &first["protected"]], [4, 1, 3, 1]);
    let second = import(place, "urls-b", URLS, &["--threat", "malware", "--reliability", "0.95"]);
    assert_eq!([&second["read"], &second["new"]], [3, 2], "the shop is one site however it is written");
    let expected = [
        ("192.0.2.77:8080/a.sh", "listed"),
        ("github.com", "candidate"),
        ("github.com/x/y/raw/invoice.pdf.exe", "listed"),
        ("metamask-verify-wallet.top", "listed"),
        ("plain-shop.example.net", "listed"),
    ];
    assert_eq!(states(place), expected.map(|(address, state)| (address.to_owned(), state.to_owned())));

    let zone = site(place, &["export", "--as", "rpz", "--zone", "bad.rpz"]);
    assert!(zone.contains(
        "\nmetamask-verify-wallet.top.bad.rpz. CNAME .\n*.metamask-verify-wallet.top.bad.rpz. CNAME .\n"
    ));
    assert!(!zone.contains("github"), "a place on a popular host is no rule for it");
    let urls = site(place, &["export", "--as", "urls"]);
    assert!(urls.contains("http://github.com/x/y/raw/invoice.pdf.exe\n"));
    let stix: Value = serde_json::from_str(&site(place, &["export", "--as", "stix"])).unwrap();
    assert_eq!(stix["objects"].as_array().unwrap().len(), 4);
    // What is handed out as a zone is read back as the same sites.
    std::fs::write(place.join("zone.rpz"), &zone).unwrap();
    let typed = [
        "import",
        place.join("zone.rpz").to_str().unwrap(),
        "--format",
        "rpz",
        "--source",
        "back",
        "--by",
        "A",
        "--json",
    ]
    .map(str::to_owned);
    let back = last_json(&site(place, &typed.each_ref().map(String::as_str)));
    assert_eq!([&back["read"], &back["new"], &back["bad"]], [2, 0, 0]);
}

#[test]
fn a_popular_name_needs_two_people_and_every_decision_is_in_the_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let one = ["add", "github.com", "--why", "trial", "--by", "Aoki"];
    site(place, &["add", "evil-shop.test", "--why", "reported by its bank", "--by", "Aoki"]);
    assert!(refused(place, &one).contains("two people"));
    assert!(refused(place, &[&one[..], &["--by", "aoki "]].concat()).contains("two people"));
    site(place, &[&one[..], &["--by", "Baba"]].concat());
    let whole = last_json(&site(place, &["show", "github.com", "--json"]));
    assert_eq!(
        [&whole["state"], &whole["person"], &whole["score"]["verdict"]],
        ["listed", "Aoki and Baba", "protected"]
    );
    assert!(
        refused(place, &["remove", "github.com", "--why", "over", "--by", "Aoki"]).contains("two people")
    );

    site(
        place,
        &["object", "evil-shop.test", "--from", "its owner", "--why", "we are a shop", "--by", "Chiba"],
    );
    assert!(
        !site(place, &["export", "--as", "domains"]).contains("evil"),
        "not handed out until it is answered"
    );
    site(place, &["remove", "evil-shop.test", "--why", "they are", "--by", "Aoki"]);
    let whole = last_json(&site(place, &["show", "evil-shop.test", "--json"]));
    assert_eq!([&whole["state"], &whole["objections"][0]["answer"]], ["removed", "they are"]);
    // A list that has it again changes nothing.
    import(place, "again", "evil-shop.test\n", &["--reliability", "0.99"]);
    assert_eq!(last_json(&site(place, &["show", "evil-shop.test", "--json"]))["state"], "removed");
    let evidence = run(place, &["evidence", "list", "--json"]);
    assert!(evidence.contains("took out the site evil-shop[.]test"), "{evidence}");
}

#[test]
fn a_score_says_everything_it_is_made_of_in_two_languages() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let why = last_json(&site(place, &["explain", "hxxp://paypa1[.]top/a", "--json"]));
    let sum: f64 =
        why["evidence"].as_array().unwrap().iter().map(|one| one["log_odds"].as_f64().unwrap()).sum();
    assert!((sum - why["log_odds"].as_f64().unwrap()).abs() < 1e-3);
    assert!(site(place, &["explain", "paypa1.top"]).contains("look like a popular name"));
    assert!(site(place, &["explain", "paypa1.top", "--lang", "ja"]).contains("著名な名前と見た目が同じ"));
    assert!(refused(place, &["explain", "not a site"]).contains("no host name"));
}

#[test]
fn a_site_inside_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    site(place, &["add", "http://127.0.0.1:9/x", "--why", "trial", "--by", "Aoki"]);
    let asked = last_json(&site(place, &["check", "--due", "--json"]));
    assert_eq!(asked["life"], "barred");
    assert_eq!(site(place, &["check", "--due", "--json"]), "", "it is not due again");
}
