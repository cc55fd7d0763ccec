//! The pages in a real browser: headless Chromium renders the portal and the console of a running demo.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mail_parser::MessageParser;

use crate::world::{noroshi, server};

/// A demo that serves, ended when dropped.
struct Serving {
    child: Child,
    portal: String,
    console: String,
}

impl Serving {
    fn start(folder: &Path) -> Self {
        let mut child =
            noroshi(folder).arg("demo").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (mut portal, mut console) = (String::new(), String::new());
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            if let Some(url) = line.strip_prefix("portal   ") {
                portal = url.to_owned();
            } else if let Some(url) = line.strip_prefix("console  ") {
                console = url.to_owned();
                break;
            }
        }
        assert!(!portal.is_empty() && !console.is_empty());
        Self { child, portal, console }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn chromium(browser: &str, profile: &Path, more: &[&str], url: &str) -> String {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(more)
        .arg(url)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Paths of the links in the demo's mails.
fn links(mailbox: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(mailbox).unwrap() {
        let mail = std::fs::read(entry.unwrap().path()).unwrap();
        let message = MessageParser::default().parse(&mail).unwrap();
        let text = message.body_text(0).unwrap();
        let start = text.find("/n/").unwrap();
        found.push(text[start..].chars().take_while(|c| !c.is_whitespace()).collect());
    }
    found.sort();
    found
}

#[test]
fn chromium_renders_the_page_of_a_notice_in_both_languages_and_the_console() {
    let Some(browser) = server("NOROSHI_TEST_CHROMIUM") else { return };
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path());
    let profile = folder.path().join("profile");
    let link = &links(&folder.path().join("mailbox"))[0];
    for (lang, says) in [("ja", "確認された内容"), ("en", "What was seen")] {
        let url = format!("{}{link}?lang={lang}", serving.portal);
        let page = chromium(&browser, &profile, &["--dump-dom"], &url);
        assert!(page.contains(says) && page.contains("JST"), "{lang}: {page}");
        assert!(page.contains(&format!("lang=\"{lang}\"")));
        let picture = folder.path().join(format!("{lang}.png"));
        let screenshot = format!("--screenshot={}", picture.display());
        chromium(&browser, &profile, &["--window-size=360,1400", &screenshot], &url);
        assert!(std::fs::metadata(&picture).unwrap().len() > 20_000, "a page with nothing on it");
    }
    for (lang, says) in [("ja", "封印したデータを開いた回数"), ("en", "Looks at sealed data")] {
        let url = format!("{}/transparency?lang={lang}", serving.portal);
        let page = chromium(&browser, &profile, &["--dump-dom"], &url);
        assert!(page.contains(says) && page.contains("/noroshi/evidence"), "{lang}: {page}");
    }
    let today = chromium(&browser, &profile, &["--dump-dom"], &serving.console);
    assert!(today.contains("192.0.2.2") && today.contains("takedown-gate"), "{today}");
}
